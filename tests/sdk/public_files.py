"""Runs a command beside a server whose files have a public address, in a network namespace that has no other network.

    unshare -r -n PYTHON public_files.py PROGRAM COMMAND…

The SDKs send and fetch the bytes of files at public addresses only. Here the loopback interface gets one, with TLS in
front of the server, and a provider for the toolkit of file-toolkits. The command gets BASE_URL, KEY, PUBLIC_FILES, and the certificate as REQUESTS_CA_BUNDLE and
NODE_EXTRA_CA_CERTS. PYTHON needs `cryptography`."""

import asyncio
import datetime
import ipaddress
import json
import os
import ssl
import subprocess
import sys
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ADDRESS = "93.184.215.14"  # public, and only of this namespace
PORT = 8787
DRIVE = 8790
TOOLKITS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "file-toolkits")


def certificate(folder):
    """A certificate for the address that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "switchboard test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ADDRESS))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    with open(pem, "wb") as file:
        file.write(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    with open(secret, "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return pem, secret


async def pipe(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def forward(reader, writer):
    """One connection with TLS, passed on without."""
    try:
        inner = await asyncio.open_connection("127.0.0.1", PORT)
    except OSError:
        writer.close()
        return
    await asyncio.gather(pipe(reader, inner[1]), pipe(inner[0], writer))


class Drive:
    """A provider that keeps one file: PUT and GET /file, one request for each connection."""

    kept = b""

    async def answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = [line.split(":")[1] for line in head.lower().split("\r\n") if line.startswith("content-length:")]
        if head.startswith("PUT "):
            self.kept = await reader.readexactly(int(length[0]))
            kind, body = "application/json", json.dumps({"size": len(self.kept)}).encode()
        else:
            kind, body = "text/plain\r\ncontent-disposition: attachment; filename=\"report.txt\"", self.kept
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()


async def main(program, command):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        pem, secret = certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, secret)
        front = await asyncio.start_server(forward, ADDRESS, 443, ssl=context)
        arguments = ["dev", "--listen", f"127.0.0.1:{PORT}", "--data-dir", os.path.join(folder, "data"), "--log", "off"]
        drive = await asyncio.start_server(Drive().answer, "127.0.0.1", DRIVE)
        arguments += ["--toolkits", TOOLKITS]
        arguments += ["--files-public-url", f"https://{ADDRESS}", "--rate-limit-per-address-per-minute", "0"]
        server = await asyncio.create_subprocess_exec(program, *arguments, stdout=subprocess.PIPE)
        try:
            key = None
            while b"Stop with" not in (line := await server.stdout.readline()):
                if not line:
                    sys.exit("the server ended early")
                if line.startswith(b"API key"):
                    key = line.split()[2].decode()
            ours = {"BASE_URL": f"http://127.0.0.1:{PORT}", "KEY": key, "PUBLIC_FILES": "1"}
            ours |= {"REQUESTS_CA_BUNDLE": pem, "NODE_EXTRA_CA_CERTS": pem}
            child = await asyncio.create_subprocess_exec(*command, env=os.environ | ours, stdin=subprocess.DEVNULL)
            return await child.wait()
        finally:
            front.close()
            drive.close()
            server.kill()
            await server.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
