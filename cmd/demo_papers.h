/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The certificates of the story, each with its key: DIR/NAME.cert.pem (followed by its intermediates) and DIR/NAME.key.pem. */

#include "pki/cert.h"

#define PAPER_ROOT "my_private_root_CA"
#define PAPER_INTERMEDIATE "my_optional_intermediate_CA"
#define PAPER_EDGE_CA "EdgeCA"
#define PAPER_GATEWAY "edgegateway.local"
#define PAPER_HUB "ContosoIotHub"
#define PAPER_EDGE "EdgeGateway"
#define PAPER_EDGE_SECOND "EdgeGateway-secondary"
#define PAPER_SENSOR "TempSensor"
#define PAPER_SENSOR_SECOND "TempSensor-secondary"
#define PAPER_IMPOSTOR "impostor"
#define PAPER_OTHER_ROOT "another_private_root_CA"

int papers_make(const char *dir, struct err *err);
const char *paper_find_name(size_t i); /* the i-th; NULL: there are no more */

char *paper_cert_path(const char *dir, const char *name);
char *paper_key_path(const char *dir, const char *name);
/* Of the certificate in the file, as openssl x509 -fingerprint prints it. */
int paper_fingerprint(char out[static CERT_FINGERPRINT_LEN], const char *dir, const char *name, struct err *err);
