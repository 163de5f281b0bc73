import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks.likeness.faces import check_opencv, overlap


def test_overlap_is_intersection_over_union():
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert overlap((0, 0, 10, 10), (20, 20, 5, 5)) == 0


def test_face_in_a_photo_is_found_and_gone_when_painted_over(assets):
    pytest.importorskip("cv2")
    check_opencv()
    from PIL import Image

    from benchmarks.find_faces import find_faces
    from benchmarks.likeness.faces import is_kept, largest_face
    from nst_core.pictures.photos import Photos

    photos = Photos(assets / "photos" / "train" / "train.tar", 48)
    photo: Image.Image = photos.open(photos.names.index("000031.jpg"))
    photo.thumbnail((512, 512))
    pixels = np.array(photo)
    face = largest_face(pixels)
    assert face is not None and is_kept(pixels, face)
    assert any(overlap(face, box) > 0.3 for box in find_faces(pixels))
    x, y, width, height = face
    pixels[y : y + height, x : x + width] = 128
    assert not is_kept(pixels, face)
