"""Objects of an S3 bucket: unsigned by default, verified by their ETag."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore import UNSIGNED
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
)
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from nsdrecon.errors import InputError
from nsdrecon.transfer import checksums
from nsdrecon.transfer.guards import TERMS_OF_USE, require_https, require_terms
from nsdrecon.transfer.manifest import Record, record_of
from nsdrecon.transfer.parts import PartialFile, fetch_file, is_here
from nsdrecon.transfer.sources import (
    Interruption,
    NoRanges,
    TransferError,
    Unreachable,
    body,
    persist,
    range_header,
    split,
)

logger = logging.getLogger(__name__)

REGION = "us-east-2"
WORKERS = 10
PATIENCE = 300.0
TIMEOUT = 30.0
PART_SIZE = 8 << 20
LARGEST_PART = 16 << 20
MD5_ETAG = re.compile(r"[0-9a-f]{32}(-[1-9]\d*)?")
FAULTS = (BotoCoreError, ClientError, HTTPError, ResponseParserError)
# Timeouts, resets and short answers; TLS records, or XML, damaged on the way.
TRANSIENT = (HTTPClientError, HTTPError, IncompleteReadError, ResponseParserError, SSLError)
TRANSIENT_CODES = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"}


@dataclass(frozen=True)
class RemoteObject:
    """An object of a bucket, as it is now (`sources.Source`).

    Parameters
    ----------
    bucket, key
        Where it is.
    size
        Bytes.
    etag
        Without quotes.
    checksum
        ``md5:...`` or ``etag-<part size>:...``; None where the ETag is not an MD5, as for objects
        encrypted with keys of one's own.
    """

    bucket: Bucket
    key: str
    size: int
    etag: str
    checksum: str | None

    @property
    def label(self) -> str:
        """``s3://bucket/key``."""
        return f"s3://{self.bucket.name}/{self.key}"

    @property
    def workers(self) -> int:
        """Concurrent requests."""
        return self.bucket.workers

    @property
    def patience(self) -> float:
        """Seconds without any byte after which a transfer is given up."""
        return self.bucket.patience

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """Exactly the bytes from ``start``, in chunks, as `sources.Source.read`."""
        wanted = range_header(self, start, length)
        arguments = {"Range": wanted} if wanted else {}
        try:
            answer = self.bucket.client.get_object(
                Bucket=self.bucket.name, Key=self.key, **arguments
            )
            with closing(answer["Body"]) as stream:
                yield from body(
                    self,
                    start,
                    length,
                    etag=answer["ETag"].strip('"'),
                    content_range=answer.get("ContentRange"),
                    read=stream.read,
                )
        except FAULTS as error:
            raise self.bucket.explain(self.key, error, part=bool(wanted)) from error


class Bucket:
    """A bucket to read from.

    Proxies are taken from the environment (``HTTPS_PROXY``, ``NO_PROXY``), certificates of a
    private authority from ``AWS_CA_BUNDLE``.

    Parameters
    ----------
    name
        Bucket.
    endpoint
        URL of an S3 server of one's own (a mirror); default is Amazon's.
    region
        Region of the bucket.
    anonymous
        Do not sign requests. A public bucket can refuse requests signed with the credentials that
        happen to be on the machine.
    profile
        Named credentials (``~/.aws``); implies signed requests.
    workers
        Concurrent requests.
    patience
        Seconds without any byte after which a transfer is given up.
    timeout
        Seconds without any byte after which a request is made again.

    Raises
    ------
    InputError
        If the profile does not exist or the endpoint is no URL.
    """

    def __init__(
        self,
        name: str,
        *,
        endpoint: str | None = None,
        region: str = REGION,
        anonymous: bool = True,
        profile: str | None = None,
        workers: int = WORKERS,
        patience: float = PATIENCE,
        timeout: float = TIMEOUT,
    ) -> None:
        if endpoint is not None:
            require_https(endpoint, own_server=True)
        self.name = name
        self.endpoint = endpoint
        self.signed = profile is not None or not anonymous
        self.workers = workers
        self.patience = patience
        config = Config(
            signature_version=None if self.signed else UNSIGNED,
            connect_timeout=min(timeout, 10.0),
            read_timeout=timeout,
            max_pool_connections=workers,
            # Retries are ours (sources.Patience): one rule for requests and for what breaks midway.
            retries={"total_max_attempts": 1, "mode": "standard"},
            # Nor does boto3 check what it can only check for some objects: the ETag covers all.
            response_checksum_validation="when_required",
            s3={"addressing_style": "auto" if endpoint is None else "path"},
        )
        try:
            session = boto3.Session(profile_name=profile, region_name=region)
        except ProfileNotFound as error:
            raise InputError(
                f"profile {profile!r}", found="no such profile", expected="a profile in ~/.aws"
            ) from error
        self.client: BaseClient = session.client("s3", endpoint_url=endpoint, config=config)

    def describe(self, key: str) -> RemoteObject:
        """Size and version of an object.

        Raises
        ------
        InputError
            If it cannot be read (403, 404, no such bucket): at once, with the remedy.
        TransferError
            If the endpoint cannot be reached.
        """
        head = self._head(key)
        size, etag = head["ContentLength"], head["ETag"].strip('"')
        kind = None
        if MD5_ETAG.fullmatch(etag) and not _has_own_encryption(head):
            kind = self._part_kind(key, size, int(etag[33:])) if "-" in etag else "md5"
        if kind is None:
            logger.warning("s3://%s/%s: its ETag %s is not a checksum", self.name, key, etag)
        return RemoteObject(self, key, size, etag, kind and f"{kind}:{etag}")

    def sizes(self, keys: Iterable[str]) -> dict[str, int]:
        """Bytes of each object, by key; errors as for `describe`."""
        keys = list(keys)
        with ThreadPoolExecutor(self.workers) as pool:
            heads = list(pool.map(self._head, keys))
        return {key: head["ContentLength"] for key, head in zip(keys, heads, strict=True)}

    def _part_kind(self, key: str, size: int, n_parts: int) -> str | None:
        """``etag-<part size>`` if the size of the first part explains the number of parts."""
        try:
            first = self._head(key, PartNumber=1)["ContentLength"]
        except InputError:
            return None  # a server that does not know part numbers; others ignore them
        return f"etag-{first}" if first and math.ceil(size / first) == n_parts else None

    def _head(self, key: str, **arguments: object) -> dict:
        def ask() -> dict:
            try:
                return self.client.head_object(Bucket=self.name, Key=key, **arguments)
            except FAULTS as error:
                raise self.explain(key, self._with_code(key, error)) from error

        return persist(ask, self.patience, f"s3://{self.name}/{key}")

    def _with_code(self, key: str, error: Exception) -> Exception:
        """The same refusal with its code: the answer to HEAD has no body, that to GET does."""
        if isinstance(error, ClientError) and _status(error) in (403, 404):
            try:
                self.client.get_object(Bucket=self.name, Key=key, Range="bytes=0-0")
            except FAULTS as reason:
                return reason
        return error

    def explain(self, key: str, error: Exception, *, part: bool = False) -> Exception:
        """What a fault of boto3 means: `Interruption` if it may pass, else an error that says.

        Parameters
        ----------
        key
            The object.
        error
            The fault.
        part
            Whether a part of the object was asked for.
        """
        label = f"s3://{self.name}/{key}"
        server = self.endpoint or "Amazon S3"
        if isinstance(error, ClientError):
            return self._refusal(label, error, part)
        if isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            return InputError(
                server,
                found=f"a certificate that does not verify ({error})",
                expected="a trusted server",
                remedy="If its authority is your institute's, set AWS_CA_BUNDLE.",
            )
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return InputError(
                label,
                found="no credentials to sign requests with",
                expected="credentials in ~/.aws or in the environment",
                remedy="Or read without signing (anonymous: true).",
            )
        if isinstance(error, NoConnection) and not isinstance(error, SSLError):
            return Unreachable(f"{type(error).__name__}: {error}")
        if isinstance(error, TRANSIENT):
            return Interruption(f"{type(error).__name__}: {error}")
        return TransferError(f"{label}: {error}")

    def _refusal(self, label: str, error: ClientError, part: bool) -> Exception:
        status, code = _status(error), error.response.get("Error", {}).get("Code", "")
        found = f"{code} (HTTP {status}) from {self.endpoint or 'Amazon S3'}"
        if part and status in (400, 501):
            return NoRanges(label, found=found, expected="a part of the object")
        if status >= 500 or status in (408, 429) or code in TRANSIENT_CODES:
            return Interruption(found)
        if status == 416:
            return TransferError(
                f"{label}: the object changed while it was fetched ({found}). Run again."
            )
        if code == "NoSuchBucket":
            expected = f"a bucket {self.name!r}"
            remedy = "Check s3.bucket and s3.endpoint in the data set's section."
        elif status == 404:
            expected = "an object of this key"
            remedy = "Check subject, session, betas and format; a mirror may not hold all."
        elif code == "RequestTimeTooSkewed":
            expected, remedy = "a clock that is right", "Set this machine's clock."
        elif status in (401, 403):
            expected = "permission to read it"
            remedy = (
                "Requests were signed with your credentials, which a public bucket can refuse: "
                "try s3.anonymous: true in the data set's section, or another profile."
                if self.signed
                else "Requests were not signed. Amazon also answers so when there is no such key: "
                "check it. A mirror may want credentials (s3.profile). Access to NSD itself is "
                f"asked for at {TERMS_OF_USE}."
            )
        else:
            expected = "the object"
            remedy = "Check s3.region and s3.endpoint in the data set's section, and the key."
        return InputError(label, found=found, expected=expected, remedy=remedy)


def nsd_bucket(settings: Mapping[str, object], workers: int = WORKERS) -> Bucket:
    """The bucket of NSD, for those who accepted its terms.

    Parameters
    ----------
    settings
        ``nsd.terms_accepted`` and ``nsd.s3`` (bucket, endpoint, region, anonymous, profile) of the
        configuration.
    workers
        Concurrent requests.

    Raises
    ------
    InputError
        If the terms are not accepted; as `Bucket`.
    """
    return open_bucket(settings["nsd.s3"], settings["nsd.terms_accepted"], workers)


def open_bucket(
    s3: Mapping[str, object], terms_accepted: bool | None = None, workers: int = WORKERS
) -> Bucket:
    """The bucket of a data set.

    Parameters
    ----------
    s3
        ``bucket``, endpoint, region, anonymous, profile.
    terms_accepted
        Whether NSD's terms are; None for a data set that has none.
    workers
        Concurrent requests.

    Raises
    ------
    InputError
        If there are terms and they are not accepted; as `Bucket`.
    """
    if terms_accepted is not None:
        require_terms(terms_accepted)
    server = dict(s3)
    return Bucket(server.pop("bucket"), **server, workers=workers)


def download_s3(
    bucket: Bucket, key: str, path: str | Path, *, record: str | Path | None = None
) -> Record:
    """Fetch an object to a file, whole and verified.

    What an interrupted run left is used. A file that is there already and has the object's
    checksum is kept.

    Parameters
    ----------
    bucket
        Where the object is.
    key
        Its key.
    path
        The file.
    record
        Table to write the record to, before the file gets its name.

    Returns
    -------
    Record
        What was fetched.

    Raises
    ------
    InputError
        If the object cannot be read, does not arrive with its checksum, or does not fit on the
        disk.
    TransferError
        If the network fails for longer than the patience lasts; running again continues.
    """
    path = Path(path)
    remote = bucket.describe(key)

    def conclude(data: Path) -> Record:
        return record_of(path, remote.label, remote.checksum, data=data, table=record)

    if is_here(path, lambda data: _is_whole(data, remote)):
        return conclude(path)
    part_size = _part_size(remote)
    parts = split(remote.size, part_size)

    def intact(file: PartialFile) -> bool:
        in_parts = all(part in file.md5 for part in parts)
        if in_parts and remote.checksum == f"etag-{part_size}:{remote.etag}":
            return checksums.of_parts(file.md5[part] for part in parts) == remote.etag
        return _is_whole(file.data, remote)

    return fetch_file(
        remote,
        path,
        parts,
        identity={"size": remote.size, "etag": remote.etag, "part_size": part_size},
        checksum=remote.checksum,
        intact=intact,
        conclude=conclude,
    )


def _part_size(remote: RemoteObject) -> int:
    """The upload's part size if it makes handy parts, so that their MD5s make the ETag."""
    kind = (remote.checksum or "").partition(":")[0]
    size = int(kind[5:]) if kind.startswith("etag-") else remote.size
    return size if 0 < size <= LARGEST_PART else PART_SIZE


def _is_whole(path: Path, remote: RemoteObject) -> bool:
    if path.stat().st_size != remote.size:
        return False
    return remote.checksum is None or checksums.matches(path, remote.checksum)


def _status(error: ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _has_own_encryption(head: dict) -> bool:
    return head.get("ServerSideEncryption", "AES256") != "AES256" or "SSECustomerAlgorithm" in head
