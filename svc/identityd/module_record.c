/* SPDX-License-Identifier: Apache-2.0 */
/* Judging what the hub tells of a module (module_record.h). */
#include "identityd/module_record.h"

#include <string.h>

#include "auth/identity.h"
#include "base/text.h"
#include "wire/json.h"

#define GENERATION_MAX 128

int
module_record_check(const json_t *module, const char *device_id, const char *module_id, struct err *err)
{
	const char *device, *id, *generation;

	if (json_get_text(module, "deviceId", &device, err) < 0 || json_get_text(module, "moduleId", &id, err) < 0 ||
		json_get_text(module, "generationId", &generation, err) < 0)
		return -1;
	if (!text_is(device, device_id) || !identity_id_is_valid(id) || (module_id && !text_is(id, module_id)))
		return err_set(err, ERR_INVALID, "it is about another module than was asked for");
	if (!*generation || strnlen(generation, GENERATION_MAX + 1) > GENERATION_MAX ||
		text_has_control(generation, strlen(generation)))
		return err_set(err, ERR_INVALID, "its generationId is none");
	return 0;
}
