/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's tables, subject by subject in the order in which they came (schema.h).  What is looked for stands in columns with an index, documents stand
 * as JSON. */
#include "hub/registry/schema.h"

#include "base/mem.h"

const char *const schema_migrations[] = {
	/* Registry, policies, kept subscriptions. */
	"CREATE TABLE identity ("
	"  device_id TEXT NOT NULL, module_id TEXT NOT NULL, generation_id TEXT NOT NULL, etag TEXT NOT NULL, enabled INTEGER NOT "
	"NULL,"
	"  status_reason TEXT, is_edge INTEGER NOT NULL, auth INTEGER NOT NULL, key1 BLOB, key2 BLOB, thumbprint1 TEXT, "
	"thumbprint2 TEXT,"
	"  scope TEXT, parents TEXT, parent TEXT, managed_by TEXT, created INTEGER NOT NULL, status_updated INTEGER NOT NULL,"
	"  PRIMARY KEY (device_id, module_id)) WITHOUT ROWID;"
	"CREATE INDEX identity_parent ON identity (parent, device_id) WHERE parent IS NOT NULL;"
	"CREATE INDEX identity_device ON identity (device_id) WHERE module_id = '';"
	"CREATE TABLE policy (name TEXT PRIMARY KEY, rights INTEGER NOT NULL, key1 BLOB NOT NULL, key2 BLOB NOT NULL) WITHOUT "
	"ROWID;"
	"CREATE TABLE subscription (name TEXT PRIMARY KEY, filters TEXT NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE number (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE word (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
	/* Twins, which an identity has from its first change on, and the values that queries look up: what stands in tags, and in properties where
	 * the operator wants it indexed. */
	"CREATE TABLE twin (device_id TEXT NOT NULL, module_id TEXT NOT NULL, version INTEGER NOT NULL, etag TEXT NOT NULL, "
	"model_id TEXT,"
	"  tags TEXT NOT NULL, desired TEXT NOT NULL, desired_meta TEXT NOT NULL, desired_version INTEGER NOT NULL,"
	"  reported TEXT NOT NULL, reported_meta TEXT NOT NULL, reported_version INTEGER NOT NULL,"
	"  PRIMARY KEY (device_id, module_id)) WITHOUT ROWID;"
	"CREATE TABLE twin_value (path TEXT NOT NULL, value NOT NULL, device_id TEXT NOT NULL, module_id TEXT NOT NULL,"
	"  PRIMARY KEY (path, value, device_id, module_id)) WITHOUT ROWID;",
	/* Registered CAs, and thumbprints that are being changed. */
	"CREATE TABLE ca (name TEXT PRIMARY KEY, etag TEXT NOT NULL, certificate BLOB NOT NULL, is_verified INTEGER NOT NULL, code "
	"TEXT,"
	"  scope TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE thumbprint_rotation (device_id TEXT NOT NULL, module_id TEXT NOT NULL, generation_id TEXT NOT NULL, old TEXT "
	"NOT NULL,"
	"  new TEXT NOT NULL, offered INTEGER NOT NULL, promoted INTEGER NOT NULL, retires INTEGER NOT NULL,"
	"  PRIMARY KEY (device_id, module_id)) WITHOUT ROWID;",
	/* Commands that wait for their device, or that it has. */
	"CREATE TABLE command (sequence INTEGER PRIMARY KEY AUTOINCREMENT, device_id TEXT NOT NULL, module_id TEXT NOT NULL,"
	"  message_id TEXT NOT NULL, correlation_id TEXT NOT NULL, user_id TEXT NOT NULL, content_type TEXT NOT NULL,"
	"  content_encoding TEXT NOT NULL, properties TEXT NOT NULL, payload BLOB, ack INTEGER NOT NULL, has_expiry INTEGER NOT "
	"NULL,"
	"  enqueued_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, locked_until_ms INTEGER NOT NULL, lock_token TEXT,"
	"  n_deliveries INTEGER NOT NULL);"
	"CREATE INDEX command_identity ON command (device_id, module_id, sequence);"
	"CREATE INDEX command_expiry ON command (expires_ms);",
	/* Uploaded files: uploads that were begun, blobs, blocks of blobs that are still being put together, and what services are told. */
	"CREATE TABLE upload (correlation_id TEXT PRIMARY KEY, device_id TEXT NOT NULL, blob TEXT NOT NULL, expires INTEGER NOT "
	"NULL) WITHOUT ROWID;"
	"CREATE INDEX upload_device ON upload (device_id, expires);"
	"CREATE TABLE blob (name TEXT PRIMARY KEY, file TEXT NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL, "
	"content_type TEXT) WITHOUT ROWID;"
	"CREATE TABLE block (blob TEXT NOT NULL, id TEXT NOT NULL, file TEXT NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT "
	"NULL,"
	"  PRIMARY KEY (blob, id)) WITHOUT ROWID;"
	"CREATE INDEX block_modified ON block (modified, file);"
	"CREATE TABLE file_notification (seq INTEGER PRIMARY KEY AUTOINCREMENT, device_id TEXT NOT NULL, blob TEXT NOT NULL, size "
	"INTEGER NOT NULL,"
	"  modified INTEGER NOT NULL, enqueued INTEGER NOT NULL, lock TEXT, locked_until INTEGER NOT NULL DEFAULT 0, deliveries "
	"INTEGER NOT NULL DEFAULT 0);",
	/* What queries look for beside that: paths of properties that the operator wants in twin_value, and the rare ones among identities. */
	"CREATE TABLE twin_index_path (path TEXT PRIMARY KEY) WITHOUT ROWID;"
	"CREATE INDEX identity_disabled ON identity (device_id) WHERE module_id = '' AND enabled = 0;"
	"CREATE INDEX identity_edge ON identity (device_id) WHERE module_id = '' AND is_edge = 1;"
	"CREATE INDEX identity_scope ON identity (scope, device_id) WHERE module_id = '' AND scope IS NOT NULL;"
	"CREATE INDEX identity_module ON identity (module_id, device_id) WHERE module_id != '';",
	/* Configurations, and which twins meet their conditions. */
	"CREATE TABLE configuration (id TEXT PRIMARY KEY, etag TEXT NOT NULL, created_ms INTEGER NOT NULL, doc TEXT NOT NULL,"
	"  is_doomed INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
	"CREATE TABLE configuration_twin (id TEXT NOT NULL, device_id TEXT NOT NULL, module_id TEXT NOT NULL, applied INTEGER NOT "
	"NULL,"
	"  sweep INTEGER NOT NULL, PRIMARY KEY (id, device_id, module_id)) WITHOUT ROWID;"
	"CREATE INDEX configuration_of_twin ON configuration_twin (device_id, module_id);",
	/* Scheduled jobs, and what became of each device. */
	"CREATE TABLE job (id TEXT PRIMARY KEY, doc TEXT NOT NULL, created_ms INTEGER NOT NULL, start_ms INTEGER NOT NULL, end_ms "
	"INTEGER NOT NULL,"
	"  status INTEGER NOT NULL, failure TEXT) WITHOUT ROWID;"
	"CREATE TABLE job_device (job_id TEXT NOT NULL, device_id TEXT NOT NULL, status INTEGER NOT NULL, start_ms INTEGER NOT "
	"NULL,"
	"  updated_ms INTEGER NOT NULL, outcome TEXT, PRIMARY KEY (job_id, device_id)) WITHOUT ROWID;"
	"CREATE INDEX job_of_device ON job_device (device_id);",
	/* Provisioning: ids in lower case, beside the name as it was written. */
	"CREATE TABLE enrollment (is_group INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, enabled INTEGER NOT NULL,"
	"  proof INTEGER NOT NULL, key1 BLOB, key2 BLOB, cert1 TEXT, cert2 TEXT, device_id TEXT, etag TEXT NOT NULL, wishes TEXT "
	"NOT NULL,"
	"  created INTEGER NOT NULL, updated INTEGER NOT NULL, PRIMARY KEY (is_group, id)) WITHOUT ROWID;"
	"CREATE TABLE registration (id TEXT PRIMARY KEY, name TEXT NOT NULL, group_id TEXT, hub TEXT NOT NULL, device_id TEXT NOT "
	"NULL,"
	"  operation TEXT NOT NULL, etag TEXT NOT NULL, assigned INTEGER NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT "
	"NULL"
	"  ) WITHOUT ROWID;",
	/* What became of commands, for who asked to hear of it. */
	"CREATE TABLE feedback (sequence INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, device_id TEXT NOT NULL,"
	"  generation_id TEXT NOT NULL, outcome INTEGER NOT NULL, ended_ms INTEGER NOT NULL, locked_until_ms INTEGER NOT NULL,"
	"  lock_token TEXT, n_deliveries INTEGER NOT NULL);"
	"CREATE INDEX feedback_lock ON feedback (lock_token) WHERE lock_token IS NOT NULL;"
	"CREATE INDEX feedback_age ON feedback (ended_ms);"
	"CREATE INDEX command_worn ON command (n_deliveries) WHERE n_deliveries >= 10;",
	/* What a device said of itself when it registered: JSON. */
	"ALTER TABLE registration ADD COLUMN payload TEXT;",
	/* Hubs beside our own; `owned`: a registration has made the device there; `failure`: why it can't be assigned. */
	"CREATE TABLE linked_hub (host TEXT PRIMARY KEY, policy TEXT NOT NULL, key BLOB NOT NULL, weight INTEGER NOT NULL) WITHOUT "
	"ROWID;"
	"ALTER TABLE registration ADD COLUMN owned INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE registration ADD COLUMN failure TEXT;",
	"CREATE INDEX registration_of_group ON registration (group_id COLLATE NOCASE, id) WHERE group_id IS NOT NULL;",
	/* TPMs: public keys in base64. */
	"ALTER TABLE enrollment ADD COLUMN endorsement_key TEXT;"
	"ALTER TABLE enrollment ADD COLUMN storage_root_key TEXT;"
	"ALTER TABLE registration ADD COLUMN storage_root_key TEXT;",
	/* Events about changes, until the event log has them: each is a record as it stands there. */
	"CREATE TABLE outbox (number INTEGER PRIMARY KEY, record BLOB NOT NULL);",
	/* A registration moves (`from_hub`: out of which), and is gone on with when it is due.  What is in our own hub was always made by its registration. */
	"ALTER TABLE registration ADD COLUMN from_hub TEXT;"
	"ALTER TABLE registration ADD COLUMN returned TEXT;"
	"ALTER TABLE registration ADD COLUMN twin TEXT;"
	"ALTER TABLE registration ADD COLUMN error INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE registration ADD COLUMN shown TEXT;"
	"ALTER TABLE registration ADD COLUMN substatus INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE registration ADD COLUMN due INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE registration ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX registration_due ON registration (due) WHERE due > 0;"
	"UPDATE registration SET due = 1 WHERE assigned = 0 AND failure IS NULL;"
	"UPDATE registration SET owned = 1 WHERE hub NOT IN (SELECT host FROM linked_hub);",
	/* How many devices a job that is over has come to. */
	"ALTER TABLE job ADD COLUMN n_devices INTEGER NOT NULL DEFAULT 0;"
	"UPDATE job SET n_devices = (SELECT count(*) FROM job_device WHERE job_id = id) WHERE end_ms > 0;",
	/* Files whose device was removed: they are on the disk until the next look. */
	"CREATE TABLE dropped_file (file TEXT PRIMARY KEY, blob TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE INDEX file_notification_device ON file_notification (device_id);",
	/* CAs of provisioning, and the names by which enrollments refer to them. */
	"CREATE TABLE provisioning_ca (name TEXT PRIMARY KEY, etag TEXT NOT NULL, certificate BLOB NOT NULL, is_verified INTEGER "
	"NOT "
	"NULL,"
	"  code TEXT, scope TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL) WITHOUT ROWID;"
	"ALTER TABLE enrollment ADD COLUMN ca1 TEXT;"
	"ALTER TABLE enrollment ADD COLUMN ca2 TEXT;",
	/* The certificate that a registration got, by its SHA-256, and whether it asked for it in the older spelling. */
	"ALTER TABLE registration ADD COLUMN issued TEXT;"
	"ALTER TABLE registration ADD COLUMN issued_pem INTEGER NOT NULL DEFAULT 0;",
};

const size_t schema_n_migrations = COUNT(schema_migrations);
