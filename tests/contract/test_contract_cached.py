"""Whose replies are kept: reads about one user, whose request says nothing else."""

from __future__ import annotations

from google.protobuf.descriptor import FieldDescriptor

from tests.contract.descriptors import methods

# About one user, and kept all the same not: an export is a stream that is told of each time, and sessions are
# read by staff, seldom, as they are at this moment.
NOT_KEPT = {
    "/finlink.exports.v1.ExportService/ExportUser",
    "/finlink.identity.v1.UserAdminService/ListUserSessions",
}


def test_every_read_about_one_user_is_kept_or_says_why_not() -> None:
    about_one = {
        method.path
        for method in methods()
        if not method.changes_state and "user_id" in method.path_fields
    }
    kept = {method.path for method in methods() if method.rules.cached_by}
    assert kept == about_one - NOT_KEPT
    assert about_one >= NOT_KEPT


def test_what_is_kept_depends_on_the_path_alone() -> None:
    for method in methods():
        if user_id := method.rules.cached_by:
            assert user_id in method.path_fields
            assert method.request.fields_by_name[user_id].type == FieldDescriptor.TYPE_STRING
            assert not method.sent_fields
            assert not method.streams
            assert method.success_status == 200
