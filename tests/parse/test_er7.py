from __future__ import annotations

import gc

import pytest

from gateway.errors import ParseError
from gateway.parse.er7 import Message, parse
from gateway.parse.parts import Part
from gateway.record import FIELDS, NULL

HEAD = "MSH|^~\\&|CLINIC|CEDARGEN|HUB|GW|20250301||REF^I12^REF_I12|M1|P|2.5.1\r"


def message(*lines: str, head: str = HEAD) -> Message:
    return parse((head + "\r".join(lines)).encode())


def only(record: Message, name: str, field: int) -> Part:
    segment = record.first(name)
    assert segment is not None
    return segment.repetitions(field)[0]


def read(record: Message, name: str, *numbers: int) -> str | None:
    segment = record.first(name)
    assert segment is not None
    return segment.text(*numbers)


def test_a_message_tells_its_header() -> None:
    record = message("PID|1")
    assert record.kind == "hl7v2"
    assert (record.event, record.structure) == ("REF^I12", "REF_I12")
    assert (record.control_id, record.version, record.charset) == ("M1", "2.5.1", "utf-8")
    assert record.warnings == ()


def test_segments_are_counted_by_name_and_by_position() -> None:
    record = message("OBX|1", "NTE|1", "OBX|2", "ZPD|x")
    assert [(s.name, s.ordinal, s.index, s.place) for s in record.segments] == [
        ("MSH", 1, 0, "MSH"),
        ("OBX", 1, 1, "OBX"),
        ("NTE", 1, 2, "NTE"),
        ("OBX", 2, 3, "OBX[2]"),
        ("ZPD", 1, 4, "ZPD"),
    ]
    assert [segment.raw for segment in record.all("OBX")] == ["OBX|1", "OBX|2"]
    assert record.first("IN1") is None
    assert record.all("IN1") == ()


def test_the_header_counts_its_separator_as_its_first_field() -> None:
    record = message()
    assert [read(record, "MSH", n) for n in (1, 2, 3, 9)] == ["|", "^~\\&", "CLINIC", "REF"]
    assert [only(record, "MSH", n).text() for n in (1, 2, 3)] == ["|", "^~\\&", "CLINIC"]
    assert only(record, "MSH", 2).place == "MSH-2"
    assert only(record, "MSH", 2).child(1) is only(record, "MSH", 2)
    assert read(record, "MSH", 2, 1, 2) is None


def test_each_level_is_read_by_number() -> None:
    record = message("PID|||A^B&C&^^D~E&F~~G")
    assert read(record, "PID", 3) == "A"
    assert read(record, "PID", 3, 1, 2) == "B"
    assert read(record, "PID", 3, 1, 2, 2) == "C"
    assert read(record, "PID", 3, 1, 2, 3) is None
    assert read(record, "PID", 3, 1, 3) is None
    assert read(record, "PID", 3, 1, 4) == "D"
    assert read(record, "PID", 3, 2, 1, 2) == "F"
    assert read(record, "PID", 3, 3) is None
    assert read(record, "PID", 3, 4) == "G"
    assert read(record, "PID", 3, 5) is None
    assert read(record, "PID", 4) is None
    assert read(record, "PID", 40) is None


def test_numbers_below_one_name_nothing() -> None:
    record = message("PID|||A^B")
    segment = record.first("PID")
    assert segment is not None
    assert [segment.text(0), segment.text(-1), segment.text(3, 0), segment.text(3, 1, 0)] == [
        None
    ] * 4
    assert segment.repetitions(0) == segment.repetitions(-1) == ()
    assert only(record, "PID", 3).child(0) is None


def test_nodes_know_their_places() -> None:
    record = message("PID|||A~B^C^D^E&F&G", "OBX|1", "OBX|2||x^y")
    second = record.segments[1].repetitions(3)[1]
    assert second.place == "PID-3[2]"
    fourth = second.child(4)
    assert fourth is not None
    assert fourth.place == "PID-3[2].4"
    leaf = fourth.child(3)
    assert leaf is not None
    assert (leaf.place, leaf.text()) == ("PID-3[2].4.3", "G")
    later = record.all("OBX")[1].repetitions(3)[0].child(2)
    assert later is not None
    assert later.place == "OBX[2]-3.2"


def test_an_undivided_node_is_its_own_first_child() -> None:
    node = only(message("PID|||A"), "PID", 3)
    assert node.child(1) is node
    assert node.child(2) is None


@pytest.mark.parametrize(
    "value", ["", "a", "a^b", "^b^", "a&x^^c&&z", "a&b", '""^x', "\\T\\^\\F\\&y", "^^^^", "&&"]
)
def test_the_short_way_to_a_leaf_leads_where_the_long_one_does(value: str) -> None:
    node, other = (only(message(f"PID|1|{value}~"), "PID", 2) for _ in range(2))
    for number in (0, 1, 2, 3, 4, 9):
        child = other.child(number)
        assert node.leaf(number) == (child.text() if child else None)
        assert other.leaf(number) == node.leaf(number), "also where the child is there already"


@pytest.mark.parametrize("value", ["a", "a^b", "^b^", "a&x^^c&&z", "a&b", '""^x'])
def test_a_shape_shows_which_children_there_are(value: str) -> None:
    node = only(message(f"PID|1|{value}"), "PID", 2)
    for _ in range(2):
        shape = node.shape
        assert [bool(byte) for byte in shape] == [
            node.child(number) is not None for number in range(1, len(shape) + 1)
        ]
        assert node.child(len(shape) + 1) is None


def test_a_segment_s_shape_shows_which_fields_it_has() -> None:
    record = message('PID|1||x~||""|')
    header, person = record.segments
    assert person.shape == b"\1\1\0\1\0\1\0".ljust(FIELDS, b"\0")
    for segment in (header, person):
        fields = [bool(segment.repetitions(number)) for number in range(1, len(segment.shape))]
        assert fields == [bool(byte) for byte in segment.shape[1:]]


def test_nodes_of_one_form_read_alike_and_those_with_escapes_have_none() -> None:
    record = message("PID|1|a^b~a^b~a|a^b&c|\\T\\|b&c")
    first, second, third = record.segments[1].repetitions(2)
    assert first.form == second.form != third.form
    assert only(record, "PID", 4).form is None
    whole, component = only(record, "PID", 5), only(record, "PID", 3).child(2)
    assert component is not None
    assert whole.value == component.value
    assert whole.form != component.form, "components divide otherwise than fields"
    assert only(record, "MSH", 2).form is None


def test_a_subcomponent_without_a_component_mark_is_still_below_component_1() -> None:
    component = only(message("PID|||A&B"), "PID", 3).child(1)
    assert component is not None
    assert component.place == "PID-3.1"
    leaf = component.child(2)
    assert leaf is not None
    assert (leaf.place, leaf.text()) == ("PID-3.1.2", "B")


def test_the_text_of_a_node_is_that_of_its_first_leaf() -> None:
    assert only(message("PID|||A&B^C"), "PID", 3).text() == "A"
    assert only(message("PID|||^C"), "PID", 3).text() is None


def test_null_is_not_empty() -> None:
    record = message('PID|||""||""^X|')
    assert read(record, "PID", 3) == NULL
    assert only(record, "PID", 3).text() == NULL
    assert read(record, "PID", 5) == NULL
    assert read(record, "PID", 4) is None
    assert record.segments[1].repetitions(4) == ()


def test_an_empty_repetition_keeps_its_place() -> None:
    nodes = message("PID|||~A").segments[1].repetitions(3)
    assert [(node.place, node.text()) for node in nodes] == [("PID-3", None), ("PID-3[2]", "A")]


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r", "\n\n", "\r \r"])
def test_any_line_end_ends_a_segment(end: str) -> None:
    record = parse((HEAD.strip() + end + "PID|1" + end + "PV1|1" + end).encode())
    assert [segment.raw for segment in record.segments[1:]] == ["PID|1", "PV1|1"]
    assert record.warnings == ()


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\r\n ", b"\n\xef\xbb\xbf", b"\x0b", b"\x00"])
def test_what_stands_before_the_message_is_passed_over(before: bytes) -> None:
    assert parse(before + HEAD.encode()).control_id == "M1"


@pytest.mark.parametrize("after", [b"\x1c\r", b"\x1a", b"\x00\x00", b"\r\r\n"])
def test_what_stands_after_the_message_is_not_its_last_field(after: bytes) -> None:
    assert parse(HEAD.strip().encode() + after).version == "2.5.1"


def test_indented_segments_are_segments() -> None:
    assert read(message("  PID|1", "\tPV1|2"), "PV1", 1) == "2"


def test_a_line_break_inside_a_field_stays_in_the_field_with_a_warning() -> None:
    record = message("OBX|1|TX|||first", "second line", "third|11", "PV1|1")
    assert read(record, "OBX", 5) == "first\nsecond line\nthird"
    assert read(record, "OBX", 6) == "11"
    assert read(record, "PV1", 1) == "1"
    assert [issue.place for issue in record.warnings] == ["OBX"]


def test_the_senders_own_delimiters_are_used() -> None:
    record = parse(b"MSH*:+!%*A*B*C*D*E**ADT:A08*M1*P*2.3\rPID***1:2%3+4*5!S!6^7")
    assert (record.event, record.structure) == ("ADT^A08", "ADT_A01")
    assert read(record, "PID", 3, 1, 2, 2) == "3"
    assert read(record, "PID", 3, 2) == "4"
    assert read(record, "PID", 4) == "5:6^7"


def test_a_fifth_delimiter_is_the_truncation_mark() -> None:
    record = parse(b"MSH|^~\\&#|A|B|C|D|E||ADT^A08|M1|P|2.7\rPID|||cut\\P\\")
    assert record.delimiters.truncation == "#"
    assert read(record, "PID", 3) == "cut#"


def test_delimiters_that_are_not_declared_divide_nothing() -> None:
    record = parse(b"MSH|^|A|B|C|D|E||ADT^A08|M1|P|2.3\rPID|||1~2&3\\T\\4")
    assert read(record, "PID", 3) == "1~2&3\\T\\4"
    assert len(record.segments[1].repetitions(3)) == 1


def test_a_doubled_escape_character_counts_once_and_is_reported() -> None:
    record = parse(b"MSH|^~\\\\&|A|B|C|D|E||ADT^A08|M1|P|2.3\rPID|||1&2")
    assert read(record, "PID", 3, 1, 1, 2) == "2"
    assert [issue.place for issue in record.warnings] == ["MSH-2"]


@pytest.mark.parametrize(
    ("raw", "place", "condition"),
    [
        (b"", "MSH", "100"),
        (b"PID|1", "MSH", "100"),
        (b"FHS|^~\\&|A\rMSH|^~\\&|A", "MSH", "100"),
        (b"MSH", "MSH-1", "102"),
        (b"MSH\r", "MSH-1", "102"),
        (b"MSHA^~\\&A", "MSH-1", "102"),
        (b"MSH ^~\\& A", "MSH-1", "102"),
        (b"MSH\xa6^~\\&\xa6", "MSH-1", "102"),
        (b"MSH|", "MSH-2", "102"),
        (b"MSH||A", "MSH-2", "102"),
        (b"MSH|AB~\\&|A", "MSH-2", "102"),
        (b"MSH|^~\\&#$|A", "MSH-2", "102"),
        (b"MSH|" + b"^~" * 1000, "MSH-2", "102"),
        (b"MSH|^~\\&|A", "MSH-9", "101"),
        (b"MSH|^~\\&|A|B|C|D|E|||M1|P|2.5", "MSH-9", "101"),
        (b"MSH|^~\\&|A|B|C|D|E||^A01|M1|P|2.5", "MSH-9", "101"),
        (b"MSH|^~\\&|A|B|C|D|E||ADT^A01||P|2.5", "MSH-10", "101"),
        (b"MSH|^~\\&|A|B|C|D|E||ADT^A01", "MSH-10", "101"),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_place(
    raw: bytes, place: str, condition: str
) -> None:
    with pytest.raises(ParseError) as caught:
        parse(raw)
    assert (caught.value.place, caught.value.issues[0].condition) == (place, condition)


def test_a_second_message_in_one_frame_is_refused_rather_than_mixed_in() -> None:
    with pytest.raises(ParseError) as caught:
        message("PID|1", HEAD, "PID|2")
    assert caught.value.place == "MSH[2]"


@pytest.mark.parametrize(("version", "condition"), [("", "101"), ("5.0.0", "203"), ("2.x", "203")])
def test_a_version_that_is_missing_or_unknown_is_a_warning(version: str, condition: str) -> None:
    record = parse(f"MSH|^~\\&|A|B|C|D|E||ADT^A01|M1|P|{version}".encode())
    assert record.version == version
    assert [(i.place, i.condition, i.severity) for i in record.warnings] == [
        ("MSH-12", condition, "warning")
    ]


@pytest.mark.parametrize(
    ("sent", "event", "structure"),
    [
        ("ADT^A08", "ADT^A08", "ADT_A01"),
        ("ADT^A28", "ADT^A28", "ADT_A05"),
        ("ADT^A40", "ADT^A40", "ADT_A39"),
        ("REF^I14", "REF^I14", "REF_I12"),
        ("RRI^I13", "RRI^I13", "RRI_I12"),
        ("ORU^R01", "ORU^R01", "ORU_R01"),
        ("SIU^S26", "SIU^S26", "SIU_S12"),
        ("ADT^A08^ADT_X99", "ADT^A08", "ADT_X99"),
        ("ACK^I12", "ACK^I12", "ACK"),
        ("ACK", "ACK", "ACK"),
        ("ZDT^Z01", "ZDT^Z01", "ZDT_Z01"),
    ],
)
def test_the_structure_is_named_or_derived_from_the_event(
    sent: str, event: str, structure: str
) -> None:
    record = parse(f"MSH|^~\\&|A|B|C|D|E||{sent}|M1|P|2.5".encode())
    assert (record.event, record.structure) == (event, structure)


def test_errors_and_warnings_hold_no_values() -> None:
    record = message("PID|||SECRET\\Q\\", "SECRET text")
    read(record, "PID", 3)
    assert len(record.warnings) == 2
    assert all("SECRET" not in str(issue) for issue in record.warnings)


def test_a_warning_is_given_once_a_place_however_often_it_is_read() -> None:
    record = message("PID|||a\\Q\\^b\\Q\\")
    component = only(record, "PID", 3).child(2)
    assert component is not None
    for _ in range(3):
        assert read(record, "PID", 3, 1, 2) == component.text() == "b\\Q\\"
    assert [issue.place for issue in record.warnings] == ["PID-3.2"]


def test_a_message_that_is_done_leaves_nothing_for_the_collector() -> None:
    gc.collect()
    record = message("PID|||1^^^A&B&C~2||" + "\\Q\\^x&y~z", "OBX|1", "OBX|2|ST|a^b&c")
    for segment in record.segments:
        for number in range(1, len(segment.fields)):
            for part in segment.repetitions(number):
                assert part.place
                child = part.child(2)
                assert (child.child(1) if child else part).text() is not None or not part.text()
    del record, segment, part, child
    assert gc.collect() == 0
