/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bytes as text: base64 (RFC 4648), hex, percent-encoding (RFC 3986).  Results are appended to a buffer, whose maximum is the
 * ceiling; where decoding answers false, what the buffer held before is still all that it holds. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/rd.h"

void base64_encode(struct buf *out, const void *data, size_t len);
/* Strict: no white space, padding complete and zero bits where it says so.  LAX also takes text without its padding. */
enum base64_padding { BASE64_STRICT, BASE64_LAX };
bool base64_decode(struct buf *out, const char *text, size_t len, enum base64_padding padding);

void hex_encode(struct buf *out, const void *data, size_t len, bool upper);
bool hex_decode(uint8_t *out, size_t out_len, const char *text, size_t len); /* exactly out_len bytes; both cases */

/* Everything but letters, digits and "-._~" is encoded, with upper-case digits. */
void percent_encode(struct buf *out, const char *text, size_t len);
/* One segment of a path: what RFC 3986 3.3 allows there stays readable ("$edgeAgent", "a:b@c"); "/", "?", "#" and "%" are
 * encoded. */
void percent_encode_segment(struct buf *out, const char *text, size_t len);
/* "%XX" becomes a byte, all else stays ("+" is no space).  False: a "%" without two digits. */
bool percent_decode(struct buf *out, const char *text, size_t len);
