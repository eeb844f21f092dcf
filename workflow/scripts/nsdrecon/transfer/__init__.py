"""Getting files from elsewhere: whole, verified, resumable.

Modules
-------
s3
    Objects of a bucket (NSD's, or a mirror of it).
ranges
    The images of a few subjects out of the remote stimulus file.
chunks
    The voxels of a mask out of a session's remote HDF5 file.
https
    Single files from a web server.
catalogue
    The pretrained models that are known by name: addresses, revisions, checksums.
weights
    Repositories of the Hugging Face hub, and models that the user brings.
manifest
    What was fetched, from where, with which checksum; checking it again.
plan
    How much will travel and be stored, before anything starts.
guards
    Terms of use, encryption, names that must stay inside their folder.
sources, parts
    What all of them share: a file fetched in parts, concurrently, that survives interruptions.

How bytes are vouched for
-------------------------
A file gets its final name only after one of these has held for all of it:

1. a checksum of the whole file: a known SHA-256, or the ETag of an S3 object, which is the MD5 of
   the object or of its upload parts' MD5s;
2. where there is none (a range of a file, a model without a published checksum): TLS, which
   authenticates every record between the server and this process, so that a byte that changes on
   the way breaks the connection and is asked for again. Only a mirror of one's own can be reached
   by plain HTTP; for ranges it has to be trusted.

Every answer of a server is compared with the version of the file (ETag and size) that was asked
for, so that all parts are of one version.
"""
