"""What must hold before anything is fetched."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import urlsplit

from nsdrecon.errors import InputError

TERMS_OF_USE = "https://cvnlab.slite.page/p/IB6BSeW_7o"


def require_terms(accepted: bool) -> None:
    """Stop unless the user has accepted the terms of use of the Natural Scenes Dataset.

    Raises
    ------
    InputError
        If not accepted (anything but ``True``); the message says where to apply.
    """
    if accepted is not True:
        raise InputError(
            "nsd.terms_accepted",
            found=accepted,
            expected="true",
            remedy=(
                "NSD may be used only under its terms: read them and fill in the data access form "
                f"at {TERMS_OF_USE} (linked from https://naturalscenesdataset.org), then set "
                "nsd.terms_accepted: true. Nothing has been downloaded."
            ),
        )


def require_https(url: str, *, own_server: bool = False) -> None:
    """Stop unless a URL is encrypted, or belongs to a server the user named as their own.

    Raises
    ------
    InputError
        If the scheme is not https (or http with ``own_server``), or there is a name or password in
        the URL, which would be printed in logs and in the report.
    """
    allowed = {"https", "http"} if own_server else {"https"}
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise InputError(
            f"{parts.scheme}://{parts.hostname}",
            found="a name or a password in its URL",
            expected="a URL without",
            remedy="Credentials for S3 belong into ~/.aws (s3.profile) or the environment.",
        )
    if parts.scheme not in allowed or not parts.hostname:
        raise InputError(
            url,
            found=f"scheme {parts.scheme!r}",
            expected=" or ".join(f"{scheme}://" for scheme in sorted(allowed, reverse=True)),
            remedy="Plain HTTP is only for a server of your own, named as such in the config.",
        )


def local_path(folder: str | Path, name: str) -> Path:
    """Where a file of a remote name lies in a folder: ``folder / name``, never outside of it.

    Parameters
    ----------
    folder
        The folder all files of this source go to.
    name
        An object's key or a repository's file name, with forward slashes.

    Raises
    ------
    InputError
        If the name is absolute, has ``..`` in it, uses backslashes or a drive, or would follow a
        symbolic link out of the folder.
    """
    pure = PurePosixPath(name)
    path = Path(folder) / pure
    escapes = (
        not pure.parts
        or name.endswith("/")
        or pure.is_absolute()
        or ".." in pure.parts
        or "\\" in name
        or "\0" in name
        or bool(PureWindowsPath(name).drive)
    )
    if escapes or not path.resolve().is_relative_to(Path(folder).resolve()):
        raise InputError(
            repr(name), found="a remote name that leaves its folder", expected=f"a file in {folder}"
        )
    return path
