from plugin.engine.progress import Progress, part_of


def test_a_part_reports_fractions_of_the_whole_and_passes_the_answer_on():
    seen = []

    def progress(at):
        seen.append((at.stage, at.fraction))
        return len(seen) < 2

    report = part_of(progress, 0.5, 0.75)
    assert report(Progress("Painting", 0.0))
    assert not report(Progress("Painting", 1.0))
    assert seen == [("Painting", 0.5), ("Painting", 0.75)]
