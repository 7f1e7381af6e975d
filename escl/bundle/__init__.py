"""Bundles: what escl needs on a machine without internet, carried there on a stick and checked on the far side.

A bundle is a set of plain files: a folder, or the same files in the same order as one uncompressed tar archive.

    manifest.json     every file below with its size and SHA-256, sorted by path; who signed, when, for which platform
    manifest.sig      64 bytes: the Ed25519 signature of manifest.json's bytes; there when the manifest names a signer
    SHA256SUMS        the same sums, and those of the two files above, for `sha256sum --check`
    bom.cdx.json      a CycloneDX 1.6 ML-BOM of what is inside
    home/...          what is installed, under the same paths below ESCL_HOME: gguf/, protocols/, cards/
    wheels/...        Python packages and requirements.txt, for pip; not installed by escl
    licences/...      licence texts

A file larger than a volume (FAT32 ends below 4 GiB) is stored in parts NAME.part001, NAME.part002, ...; an archive
larger than a volume is cut into NAME.tar.001, NAME.tar.002, ... SHA256SUMS and the archive's layout follow from the
manifest alone and are compared byte for byte, and the manifest has one spelling only: no bit of a bundle is unaccounted
for. The SHA-256 of SHA256SUMS is the bundle's fingerprint: whoever has it from a trusted hand needs no signature.

Nothing here opens a socket but the pip that `escl.bundle.wheels` starts. It must not know engines, runs or scores.
"""
