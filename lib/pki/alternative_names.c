/* SPDX-License-Identifier: Apache-2.0 */
/* Names out of extensions (alternative_names.h). */
#include "pki/alternative_names.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"

/* NULL when the text has a NUL inside: a name that shows less than it is. */
static char *
ia5_text(const char *prefix, const ASN1_IA5STRING *text)
{
	size_t len = (size_t)ASN1_STRING_length(text);
	const char *data = (const char *)ASN1_STRING_get0_data(text);

	return memchr(data, 0, len) ? NULL : mem_textf("%s%.*s", prefix, (int)len, data);
}

static char *
ip_text(const ASN1_OCTET_STRING *ip)
{
	char text[INET6_ADDRSTRLEN];
	int len = ASN1_STRING_length(ip);

	if (len != 4 && len != 16)
		return NULL;
	inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(ip), text, sizeof(text));
	return mem_text(text);
}

static char *
name_of(const GENERAL_NAME *name)
{
	if (name->type == GEN_DNS)
		return ia5_text("", name->d.dNSName);
	if (name->type == GEN_URI)
		return ia5_text("URI:", name->d.uniformResourceIdentifier);
	return name->type == GEN_IPADD ? ip_text(name->d.iPAddress) : NULL;
}

size_t
alternative_names(const STACK_OF(X509_EXTENSION) * extensions, char **out, size_t max)
{
	GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	size_t n = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && n < max; i++) {
		char *text = name_of(sk_GENERAL_NAME_value(names, i));

		if (text)
			out[n++] = text;
	}
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return n;
}

size_t
alternative_names_count(const STACK_OF(X509_EXTENSION) * extensions)
{
	int why = -1;
	GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, &why, NULL);
	size_t n = names ? (size_t)sk_GENERAL_NAME_num(names) : why == -1 ? 0 : SIZE_MAX;

	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return n;
}
