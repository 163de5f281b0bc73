import io

import pytest

from nst_core.base.protobuf import Field, MessageReader


def reader(data, budget=100):
    return MessageReader(io.BytesIO(data), budget)


def test_fields_of_every_kind_are_read():
    data = b"\x08\x96\x01" + b"\x12\x03abc" + b"\x19" + bytes(8) + b"\x25" + bytes(4)
    read = reader(data)
    assert [*read.fields(0, len(data))] == [
        Field(1, 3, 3, 150),
        Field(2, 5, 8, None),
        Field(3, 9, 17, None),
        Field(4, 18, 22, None),
    ]
    assert read.content(Field(2, 5, 8, None)) == b"abc"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff" * 100, "does not end"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "does not end"),
        (b"\x08", "does not end"),
        (b"\x12\x04abc", "too soon"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "too soon"),
        (b"\x0b", "kind 3"),
        (b"\x00\x00", "without a number"),
        (b"\x88\x80\x80\x80\x10\x01", "too large"),  # field 1 to a reader that keeps 32 bits
        (b"\x08\x01" * 101, "too many parts"),
    ],
)
def test_damaged_messages_are_refused(data, reason):
    with pytest.raises(ValueError, match=reason):
        list(reader(data).fields(0, len(data)))


def test_budget_is_shared_by_nested_messages():
    data = b"\x12\x04\x08\x01\x08\x02"
    read = reader(data, 3)
    (outer,) = read.fields(0, len(data))
    assert [field.value for field in read.fields(outer.start, outer.end)] == [1, 2]
    with pytest.raises(ValueError, match="too many parts"):
        next(read.fields(0, len(data)))


def test_content_of_a_file_that_was_cut_off_is_refused():
    with pytest.raises(ValueError, match="too soon"):
        reader(b"ab").content(Field(1, 0, 3, None))
