"""Waits for the server, and makes the certificate that a user brings; prints its ARN. Usage: ready.py ADDRESS"""

import sys
import time
import urllib.request

import boto3

for _ in range(600):
    try:
        urllib.request.urlopen(sys.argv[1] + "/moto-api/", timeout=1).close()
        break
    except OSError:
        time.sleep(0.1)
else:
    sys.exit("the server did not come up")
certificates = boto3.client("acm", endpoint_url=sys.argv[1])
print(certificates.request_certificate(DomainName="millrace.example")["CertificateArn"])
