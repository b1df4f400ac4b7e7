from compatbench.trust.problems import Problem, told


def test_a_note_on_many_files_takes_one_line_and_errors_stand_last():
    same = [Problem(f"{n}.json", "made from a checkout with uncommitted changes", serious=False) for n in range(1_002)]
    wrong = [Problem("a.json", "has another score"), Problem("b.json", "has another score")]
    alone = Problem("c.json", "is small", serious=False)
    assert told([same[0], wrong[0], alone, *same[1:], wrong[1]]) == [
        "note  0.json and 1,001 more: made from a checkout with uncommitted changes",
        "note  c.json: is small",
        "FAIL  a.json: has another score",
        "FAIL  b.json: has another score",
    ]
