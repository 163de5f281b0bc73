import json
import shutil
import tarfile

import pytest

pytest.importorskip("torch")
pytest.importorskip("cv2")

from PIL import Image

from benchmarks.likeness.likeness_command import main


@pytest.mark.slow
def test_bundled_style_is_measured_and_shown(assets, tmp_path):
    """Two photos with a face, one other photo."""
    (tmp_path / "photos" / "train").mkdir(parents=True)
    (tmp_path / "photos" / "eval").mkdir()
    for name in ("weights", "styles"):
        (tmp_path / name).symlink_to(assets / name)
    shutil.copy(assets / "photos" / "holdout.tar", tmp_path / "photos")
    shutil.copy(assets / "photos" / "eval" / "amber.jpg", tmp_path / "photos" / "eval")
    with (
        tarfile.open(assets / "photos" / "train" / "train.tar") as whole,
        tarfile.open(tmp_path / "photos" / "train" / "train.tar", "w") as part,
    ):
        part.addfile(whole.getmember("000031.jpg"), whole.extractfile("000031.jpg"))
    (tmp_path / "photos" / "faces.txt").write_text("000031.jpg\n000010.jpg\n")
    main([str(tmp_path), str(tmp_path / "out"), "--style", "great-wave"])
    (path,) = (tmp_path / "out" / "raw").glob("great-wave.70.json")
    record = json.loads(path.read_text())
    assert 0 <= record["faces"] <= 2 and 0.5 < record["content"] < 1.2 and 0.3 < record["plain_style"] < 1
    assert 0.9 < record["objective"] < 2 and 0 < record["patterns_used"] <= 1 and 0 < record["unsteadiness"] < 20
    report = (tmp_path / "out" / "likeness.md").read_text()
    assert "Great Wave" in report and "of 2 portraits" in report
    assert Image.open(tmp_path / "out" / "great-wave.jpg").width > 900
