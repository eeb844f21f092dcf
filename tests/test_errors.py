from nsdrecon.errors import InputError, listing


def test_message_names_source_found_expected_and_remedy():
    error = InputError("a.h5", found="3 rows", expected="4 rows", remedy="Run again.")
    assert str(error) == "a.h5: found 3 rows; expected 4 rows. Run again."
    assert str(InputError("a.h5", found=3, expected=4)) == "a.h5: found 3; expected 4."
    assert isinstance(error, ValueError)


def test_listing_shortens():
    assert listing([3, 7]) == "3, 7"
    assert listing(range(9)) == "0, 1, 2, 3, 4 and 4 more"
    assert listing(range(5)) == "0, 1, 2, 3, 4"
    assert listing([]) == ""
