CREATE TABLE IF NOT EXISTS agency (
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  folder TEXT NOT NULL,
  added BIGINT NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE IF NOT EXISTS api_key (
  id TEXT NOT NULL,
  hash TEXT NOT NULL,
  agency TEXT NOT NULL,
  admin BOOLEAN NOT NULL,
  scopes TEXT NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (hash)
);

CREATE TABLE IF NOT EXISTS audit (
  sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  at BIGINT NOT NULL,
  agency TEXT NOT NULL,
  client TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  purpose TEXT NOT NULL,
  outcome TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS date (
  param BIGINT NOT NULL,
  low BIGINT NOT NULL,
  high BIGINT NOT NULL,
  resource BIGINT NOT NULL,
  PRIMARY KEY (param, low, high, resource)
)
 WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS date_resource ON date (resource, param);

CREATE TABLE IF NOT EXISTS decision (
  sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  request TEXT NOT NULL,
  agency TEXT NOT NULL,
  at BIGINT NOT NULL,
  body BLOB NOT NULL
);

CREATE INDEX IF NOT EXISTS decision_request ON decision (request, sequence);

CREATE TABLE IF NOT EXISTS hop (
  task TEXT NOT NULL,
  parent TEXT NOT NULL,
  part TEXT NOT NULL,
  number INTEGER NOT NULL,
  agency TEXT NOT NULL,
  service TEXT NOT NULL,
  at BIGINT NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (task)
)
 WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS hop_parent ON hop (parent, number);

CREATE TABLE IF NOT EXISTS hub (
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE IF NOT EXISTS lacking (
  "key" INTEGER NOT NULL,
  agency TEXT NOT NULL,
  name TEXT NOT NULL,
  code TEXT NOT NULL,
  task TEXT NOT NULL,
  PRIMARY KEY ("key"),
  UNIQUE (agency, name, code)
);

CREATE TABLE IF NOT EXISTS late (
  name TEXT NOT NULL,
  xid BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE IF NOT EXISTS load (
  "key" INTEGER NOT NULL,
  id TEXT NOT NULL,
  agency TEXT NOT NULL,
  feed TEXT NOT NULL,
  channel TEXT NOT NULL,
  started BIGINT NOT NULL,
  summary BLOB NOT NULL,
  PRIMARY KEY ("key"),
  UNIQUE (id)
);

CREATE TABLE IF NOT EXISTS mended (
  sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  message TEXT NOT NULL,
  at BIGINT NOT NULL,
  client TEXT NOT NULL,
  raw BLOB NOT NULL
);

CREATE INDEX IF NOT EXISTS mended_message ON mended (message, sequence);

CREATE TABLE IF NOT EXISTS message (
  "key" INTEGER NOT NULL,
  id TEXT NOT NULL,
  agency TEXT NOT NULL,
  channel TEXT NOT NULL,
  kind TEXT NOT NULL,
  control_id TEXT NOT NULL,
  event TEXT NOT NULL,
  digest BLOB NOT NULL,
  received BIGINT NOT NULL,
  status TEXT NOT NULL,
  stage TEXT NOT NULL,
  place TEXT NOT NULL,
  reason TEXT NOT NULL,
  reused BOOLEAN NOT NULL,
  acknowledgement TEXT NOT NULL,
  answer BLOB NOT NULL,
  raw BLOB NOT NULL,
  PRIMARY KEY ("key"),
  UNIQUE (id)
);

CREATE UNIQUE INDEX IF NOT EXISTS message_once ON message (agency, control_id, digest) WHERE control_id != '';

CREATE INDEX IF NOT EXISTS message_received ON message ("key") WHERE status = 'received';

CREATE TABLE IF NOT EXISTS number (
  param BIGINT NOT NULL,
  low DOUBLE NOT NULL,
  high DOUBLE NOT NULL,
  resource BIGINT NOT NULL,
  PRIMARY KEY (param, low, high, resource)
)
 WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS number_resource ON number (resource, param);

CREATE TABLE IF NOT EXISTS passage (
  type TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  hops INTEGER NOT NULL,
  PRIMARY KEY (type, id, version)
);

CREATE TABLE IF NOT EXISTS pursuit (
  task TEXT NOT NULL,
  part TEXT NOT NULL,
  requester TEXT NOT NULL,
  since BIGINT NOT NULL,
  stage TEXT NOT NULL,
  list TEXT NOT NULL,
  navigator TEXT NOT NULL,
  PRIMARY KEY (task, part)
)
 WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS quantity (
  param BIGINT NOT NULL,
  low DOUBLE NOT NULL,
  high DOUBLE NOT NULL,
  system BIGINT NOT NULL,
  code TEXT NOT NULL,
  unit TEXT NOT NULL,
  resource BIGINT NOT NULL,
  PRIMARY KEY (param, low, high, resource, system, code, unit)
)
 WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS quantity_resource ON quantity (resource, param);

CREATE TABLE IF NOT EXISTS reference (
  param BIGINT NOT NULL,
  target TEXT NOT NULL,
  type TEXT NOT NULL,
  resource BIGINT NOT NULL,
  PRIMARY KEY (target, param, resource, type)
)
 WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS reference_resource ON reference (resource, param);

CREATE TABLE IF NOT EXISTS resource (
  "key" INTEGER NOT NULL,
  type TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  updated BIGINT NOT NULL,
  owner TEXT NOT NULL,
  deleted BOOLEAN NOT NULL,
  kinds INTEGER NOT NULL,
  digest BLOB NOT NULL,
  said BIGINT,
  PRIMARY KEY ("key"),
  UNIQUE (type, id)
);

CREATE INDEX IF NOT EXISTS resource_owner ON resource (owner, type);

CREATE INDEX IF NOT EXISTS resource_updated ON resource (type, updated);

CREATE TABLE IF NOT EXISTS row_by (
  sheet BIGINT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (sheet, name, value, id)
)
 WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS sequence (
  agency TEXT NOT NULL,
  link TEXT NOT NULL,
  expected BIGINT NOT NULL,
  PRIMARY KEY (agency, link)
);

CREATE TABLE IF NOT EXISTS sheet (
  "key" INTEGER NOT NULL,
  agency TEXT NOT NULL,
  feed TEXT NOT NULL,
  file TEXT NOT NULL,
  PRIMARY KEY ("key"),
  UNIQUE (agency, feed, file)
);

CREATE TABLE IF NOT EXISTS string (
  param BIGINT NOT NULL,
  value TEXT NOT NULL,
  exact BIGINT NOT NULL,
  resource BIGINT NOT NULL,
  PRIMARY KEY (param, value, resource, exact)
)
 WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS string_resource ON string (resource, param);

CREATE TABLE IF NOT EXISTS subscriber (
  id TEXT NOT NULL,
  agency TEXT NOT NULL,
  channel TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  criteria TEXT NOT NULL,
  type TEXT NOT NULL,
  payload TEXT NOT NULL,
  headers TEXT NOT NULL,
  status TEXT NOT NULL,
  error TEXT NOT NULL,
  cursor_xid BIGINT NOT NULL,
  cursor_sequence BIGINT NOT NULL,
  next_number BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  failing_since BIGINT,
  retry_at BIGINT,
  holder TEXT NOT NULL,
  leased_until BIGINT NOT NULL,
  topic TEXT NOT NULL,
  content TEXT NOT NULL,
  heartbeat BIGINT NOT NULL,
  timeout BIGINT NOT NULL,
  most BIGINT NOT NULL,
  until BIGINT,
  told BIGINT NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE IF NOT EXISTS timer (
  task TEXT NOT NULL,
  part TEXT NOT NULL,
  step TEXT NOT NULL,
  due BIGINT NOT NULL,
  PRIMARY KEY (task, part)
)
 WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS timer_due ON timer (due);

CREATE TABLE IF NOT EXISTS token (
  param BIGINT NOT NULL,
  code TEXT NOT NULL,
  system BIGINT NOT NULL,
  resource BIGINT NOT NULL,
  PRIMARY KEY (param, code, resource, system)
)
 WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS token_resource ON token (resource, param);

CREATE TABLE IF NOT EXISTS turn (
  slot INTEGER NOT NULL,
  taken BIGINT NOT NULL,
  PRIMARY KEY (slot)
);

CREATE TABLE IF NOT EXISTS unmet (
  "key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  task TEXT NOT NULL,
  part TEXT NOT NULL,
  category TEXT NOT NULL,
  area TEXT NOT NULL,
  reason TEXT NOT NULL,
  asked INTEGER NOT NULL,
  opened BIGINT NOT NULL,
  closed BIGINT,
  outcome TEXT NOT NULL
);

CREATE INDEX IF NOT EXISTS unmet_task ON unmet (task, part);

CREATE TABLE IF NOT EXISTS uri (
  param BIGINT NOT NULL,
  value TEXT NOT NULL,
  resource BIGINT NOT NULL,
  PRIMARY KEY (param, value, resource)
)
 WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS uri_resource ON uri (resource, param);

CREATE TABLE IF NOT EXISTS used_link (
  id TEXT NOT NULL,
  until BIGINT NOT NULL,
  PRIMARY KEY (id)
);

CREATE INDEX IF NOT EXISTS used_link_until ON used_link (until);

CREATE TABLE IF NOT EXISTS aside (
  "key" INTEGER NOT NULL,
  id TEXT NOT NULL,
  sheet BIGINT NOT NULL,
  load TEXT NOT NULL,
  "row" TEXT NOT NULL,
  head BIGINT NOT NULL,
  line INTEGER NOT NULL,
  stage TEXT NOT NULL,
  place TEXT NOT NULL,
  reason TEXT NOT NULL,
  raw BLOB NOT NULL,
  at BIGINT NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY ("key"),
  UNIQUE (id),
  FOREIGN KEY(sheet) REFERENCES sheet ("key")
);

CREATE INDEX IF NOT EXISTS aside_load ON aside (load, "key");

CREATE INDEX IF NOT EXISTS aside_open ON aside (sheet, "row") WHERE state = 'open';

CREATE TABLE IF NOT EXISTS grants (
  resource BIGINT NOT NULL,
  agency TEXT NOT NULL,
  because TEXT NOT NULL,
  since INTEGER NOT NULL,
  until BIGINT,
  rights TEXT NOT NULL,
  revoked BIGINT,
  PRIMARY KEY (resource, agency, because),
  FOREIGN KEY(resource) REFERENCES resource ("key")
)
 WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS grants_agency ON grants (agency, resource);

CREATE INDEX IF NOT EXISTS grants_because ON grants (because);

CREATE TABLE IF NOT EXISTS head (
  "key" INTEGER NOT NULL,
  sheet BIGINT NOT NULL,
  name TEXT NOT NULL,
  raw TEXT NOT NULL,
  charset TEXT NOT NULL,
  mark BLOB NOT NULL,
  delimiter TEXT NOT NULL,
  newline TEXT NOT NULL,
  PRIMARY KEY ("key"),
  FOREIGN KEY(sheet) REFERENCES sheet ("key")
);

CREATE INDEX IF NOT EXISTS head_sheet ON head (sheet);

CREATE TABLE IF NOT EXISTS version (
  sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  xid BIGINT DEFAULT 0 NOT NULL,
  resource BIGINT NOT NULL,
  type TEXT NOT NULL,
  version INTEGER NOT NULL,
  interaction TEXT NOT NULL,
  at BIGINT NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (resource, version),
  FOREIGN KEY(resource) REFERENCES resource ("key")
);

CREATE INDEX IF NOT EXISTS version_log ON version (type, xid, sequence);

CREATE TABLE IF NOT EXISTS waiting (
  lacking BIGINT NOT NULL,
  message TEXT NOT NULL,
  outcome TEXT NOT NULL,
  PRIMARY KEY (lacking, message),
  FOREIGN KEY(lacking) REFERENCES lacking ("key"),
  FOREIGN KEY(message) REFERENCES message (id)
)
 WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS waiting_message ON waiting (message);

CREATE TABLE IF NOT EXISTS waiting_row (
  lacking BIGINT NOT NULL,
  sheet BIGINT NOT NULL,
  id TEXT NOT NULL,
  outcome TEXT NOT NULL,
  PRIMARY KEY (lacking, sheet, id),
  FOREIGN KEY(lacking) REFERENCES lacking ("key"),
  FOREIGN KEY(sheet) REFERENCES sheet ("key")
)
 WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS waiting_row_sheet ON waiting_row (sheet, outcome, id);

CREATE TABLE IF NOT EXISTS delivery (
  id TEXT NOT NULL,
  subscriber TEXT NOT NULL,
  number BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  attempts INTEGER NOT NULL,
  first_attempt BIGINT,
  settled BIGINT,
  outcome TEXT NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (subscriber, number),
  FOREIGN KEY(subscriber) REFERENCES subscriber (id),
  FOREIGN KEY(sequence) REFERENCES version (sequence)
);

CREATE INDEX IF NOT EXISTS delivery_aside ON delivery (subscriber, number) WHERE outcome = 'aside';

CREATE INDEX IF NOT EXISTS delivery_event ON delivery (sequence);

CREATE INDEX IF NOT EXISTS delivery_pending ON delivery (subscriber, number) WHERE settled IS NULL;

CREATE TABLE IF NOT EXISTS "row" (
  "key" INTEGER NOT NULL,
  sheet BIGINT NOT NULL,
  id TEXT NOT NULL,
  head BIGINT NOT NULL,
  line INTEGER NOT NULL,
  digest BLOB NOT NULL,
  updated BIGINT,
  deleted BOOLEAN NOT NULL,
  made TEXT NOT NULL,
  raw BLOB NOT NULL,
  PRIMARY KEY ("key"),
  UNIQUE (sheet, id),
  FOREIGN KEY(sheet) REFERENCES sheet ("key"),
  FOREIGN KEY(head) REFERENCES head ("key")
);

CREATE TABLE IF NOT EXISTS attempt (
  sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  delivery TEXT NOT NULL,
  at BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  stage TEXT NOT NULL,
  place TEXT NOT NULL,
  reason TEXT NOT NULL,
  FOREIGN KEY(delivery) REFERENCES delivery (id)
);

CREATE INDEX IF NOT EXISTS attempt_delivery ON attempt (delivery, sequence);

CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(narrative, content, detail=column, columnsize=0, tokenize='ascii');
