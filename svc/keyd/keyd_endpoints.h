/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The handlers behind keyd's paths, for the table in keyd_api.c. */

#include "common/endpoint.h"

typedef int keyd_endpoint(const struct endpoint_call *call, json_t **answer, struct err *err);

keyd_endpoint keyd_create_key, keyd_delete_key, keyd_load_key, keyd_move_key;
keyd_endpoint keyd_create_pair, keyd_delete_pair, keyd_load_pair, keyd_move_pair;
keyd_endpoint keyd_parameter, keyd_derive, keyd_export_derived, keyd_sign, keyd_sign_now, keyd_encrypt, keyd_decrypt;
