"""Serves the client id metadata document of the Inspector over https on a free
port of this machine.

Argument: a folder, in which `authority.pem` is made, the certificate of the
authority that signed the server's. Prints `serving URL` once it answers.
"""

import datetime
import http.server
import ipaddress
import json
import pathlib
import ssl
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

folder = pathlib.Path(sys.argv[1])


def named(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(subject, key, issuer, issuer_key, extensions):
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer))
    made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(hours=1))
    made = made.not_valid_after(now + datetime.timedelta(days=1))
    for extension, critical in extensions:
        made = made.add_extension(extension, critical)
    return made.sign(issuer_key, hashes.SHA256())


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


authority_key = ec.generate_private_key(ec.SECP256R1())
usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
authority = certificate(
    "Authority of a test",
    authority_key,
    "Authority of a test",
    authority_key,
    [(x509.BasicConstraints(ca=True, path_length=0), True), (usage, True)],
)
(folder / "authority.pem").write_bytes(pem(authority))

key = ec.generate_private_key(ec.SECP256R1())
names = x509.SubjectAlternativeName(
    [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
)
leaf = certificate(
    "localhost",
    key,
    "Authority of a test",
    authority_key,
    [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (names, False),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
    ],
)
private = key.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
(folder / "leaf.pem").write_bytes(pem(leaf) + private)


class Document(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(
            {
                "client_id": url,
                "client_name": "Inspector",
                "redirect_uris": ["http://127.0.0.1/oauth/callback"],
                "grant_types": ["authorization_code", "refresh_token"],
                "token_endpoint_auth_method": "none",
            }
        ).encode()
        found = self.path == "/inspector.json"
        self.send_response(200 if found else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder / "leaf.pem")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Document)
server.socket = context.wrap_socket(server.socket, server_side=True)
url = f"https://localhost:{server.server_address[1]}/inspector.json"
print("serving", url, flush=True)
server.serve_forever()
