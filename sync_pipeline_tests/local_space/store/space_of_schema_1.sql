PRAGMA user_version=1;
BEGIN TRANSACTION;
CREATE TABLE bulk_actions (
  position INTEGER PRIMARY KEY, env INTEGER NOT NULL, space TEXT NOT NULL, id TEXT NOT NULL,
  action TEXT NOT NULL, style INTEGER NOT NULL, status TEXT NOT NULL, payload TEXT NOT NULL,
  error TEXT, due REAL NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
  UNIQUE (env, id)
);
CREATE TABLE content_types (
  env INTEGER NOT NULL, id TEXT NOT NULL, definition TEXT NOT NULL, published_definition TEXT,
  version INTEGER NOT NULL, published_version INTEGER, published_counter INTEGER NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, published_at TEXT, first_published_at TEXT,
  PRIMARY KEY (env, id)
);
INSERT INTO "content_types" VALUES(1,'thing','{"displayField":"name","name":"thing","description":"","fields":[{"id":"name","name":"name","type":"Symbol","localized":true,"required":false,"validations":[],"disabled":false,"omitted":false},{"id":"sku","name":"sku","type":"Symbol","localized":false,"required":false,"validations":[{"unique":true}],"disabled":false,"omitted":false},{"id":"image","name":"image","type":"Link","localized":false,"required":false,"validations":[],"disabled":false,"omitted":false,"linkType":"Asset"}]}','{"displayField":"name","name":"thing","description":"","fields":[{"id":"name","name":"name","type":"Symbol","localized":true,"required":false,"validations":[],"disabled":false,"omitted":false},{"id":"sku","name":"sku","type":"Symbol","localized":false,"required":false,"validations":[{"unique":true}],"disabled":false,"omitted":false},{"id":"image","name":"image","type":"Link","localized":false,"required":false,"validations":[],"disabled":false,"omitted":false,"linkType":"Asset"}]}',2,1,1,'2026-01-01T00:00:00.003Z','2026-01-01T00:00:00.004Z','2026-01-01T00:00:00.004Z','2026-01-01T00:00:00.004Z');
CREATE TABLE editor_interfaces (
  env INTEGER NOT NULL, content_type TEXT NOT NULL, body TEXT NOT NULL, version INTEGER NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, PRIMARY KEY (env, content_type)
);
INSERT INTO "editor_interfaces" VALUES(1,'thing','{"controls":[{"fieldId":"name","widgetId":"slugEditor"}]}',2,'2026-01-01T00:00:00.004Z','2026-01-01T00:00:00.010Z');
CREATE TABLE entries (
  row INTEGER PRIMARY KEY,
  env INTEGER NOT NULL,
  kind TEXT NOT NULL,              -- Entry or Asset
  id TEXT NOT NULL,
  content_type TEXT NOT NULL,      -- '' for assets
  version INTEGER NOT NULL,
  published_version INTEGER,
  archived_version INTEGER,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  published_at TEXT,
  first_published_at TEXT,
  archived_at TEXT,
  published_counter INTEGER NOT NULL DEFAULT 0,
  fields TEXT NOT NULL,
  metadata TEXT,                   -- NULL: no tags, no concepts
  published_fields TEXT,           -- NULL: what is published equals `fields`
  published_locales TEXT           -- NULL: all locales
);
INSERT INTO "entries" VALUES(1,1,'Entry','live','thing',2,1,NULL,'2026-01-01T00:00:00.006Z','2026-01-01T00:00:00.007Z','2026-01-01T00:00:00.007Z','2026-01-01T00:00:00.007Z',NULL,1,'{"name":{"en-US":"a","de-DE":"b"},"sku":{"en-US":"1"}}',NULL,NULL,NULL);
INSERT INTO "entries" VALUES(2,1,'Entry','draft','thing',1,NULL,NULL,'2026-01-01T00:00:00.008Z','2026-01-01T00:00:00.008Z',NULL,NULL,NULL,0,'{"name":{"en-US":"c"}}',NULL,NULL,NULL);
INSERT INTO "entries" VALUES(3,1,'Asset','pic','',1,NULL,NULL,'2026-01-01T00:00:00.012Z','2026-01-01T00:00:00.012Z',NULL,NULL,NULL,0,'{"file":{"en-US":{"fileName":"x.txt","contentType":"text/plain","uploadFrom":{"sys":{"type":"Link","linkType":"Upload","id":"id-3"}}}}}',NULL,NULL,NULL);
CREATE TABLE environments (
  env INTEGER PRIMARY KEY, space TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
  version INTEGER NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
  UNIQUE (space, id)
);
INSERT INTO "environments" VALUES(1,'local','master','master',1,'2026-01-01T00:00:00.002Z','2026-01-01T00:00:00.002Z');
CREATE TABLE locales (
  position INTEGER PRIMARY KEY, env INTEGER NOT NULL, id TEXT NOT NULL, code TEXT NOT NULL,
  internal_code TEXT NOT NULL, name TEXT NOT NULL, fallback_code TEXT,
  is_default INTEGER NOT NULL, is_optional INTEGER NOT NULL, in_management INTEGER NOT NULL,
  in_delivery INTEGER NOT NULL, version INTEGER NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
  UNIQUE (env, id), UNIQUE (env, code)
);
INSERT INTO "locales" VALUES(1,1,'id-1','en-US','en-US','en-US',NULL,1,0,1,1,1,'2026-01-01T00:00:00.002Z','2026-01-01T00:00:00.002Z');
INSERT INTO "locales" VALUES(2,1,'id-2','de-DE','de-DE','German','en-US',0,1,1,1,1,'2026-01-01T00:00:00.005Z','2026-01-01T00:00:00.005Z');
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "meta" VALUES('storage_id','0123456789abcdef0123456789abcdef');
CREATE TABLE spaces (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL
);
INSERT INTO "spaces" VALUES('local','Local space',1,'2026-01-01T00:00:00.001Z','2026-01-01T00:00:00.001Z');
CREATE TABLE tags (
  env INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, visibility TEXT NOT NULL,
  version INTEGER NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
  PRIMARY KEY (env, id)
);
INSERT INTO "tags" VALUES(1,'t','Tag','public',1,'2026-01-01T00:00:00.009Z','2026-01-01T00:00:00.009Z');
CREATE TABLE uploads (
  space TEXT NOT NULL, id TEXT NOT NULL, size INTEGER NOT NULL, created_at TEXT NOT NULL,
  PRIMARY KEY (space, id)
);
INSERT INTO "uploads" VALUES('local','id-3',10,'2026-01-01T00:00:00.011Z');
CREATE INDEX bulk_actions_by_status ON bulk_actions (status, due);
CREATE UNIQUE INDEX entries_by_id ON entries (env, kind, id);
CREATE INDEX entries_by_type ON entries (env, kind, content_type, id);
CREATE INDEX entries_by_creation ON entries (env, kind, created_at, id);
CREATE INDEX "entries_value_4c897607cc8ab4ae" ON entries (json_extract(fields, '$."sku"."en-US"')) WHERE env = 1 AND kind = 'Entry' AND content_type = 'thing';
CREATE INDEX "entries_value_67c3dea68cbe939a" ON entries (json_extract(published_fields, '$."sku"."en-US"')) WHERE env = 1 AND kind = 'Entry' AND content_type = 'thing' AND published_fields IS NOT NULL;
COMMIT;
