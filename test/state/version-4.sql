PRAGMA application_id = 1886614638;
PRAGMA user_version = 4;
CREATE TABLE identity (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  machine TEXT NOT NULL,
  folder TEXT NOT NULL,
  inode TEXT NOT NULL
) STRICT;
CREATE TABLE meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  highest_clock_ms INTEGER NOT NULL,
  born_ms INTEGER NOT NULL,
  look_ms INTEGER,
  generation INTEGER NOT NULL,
  claimed_ms INTEGER,
  elsewhere INTEGER NOT NULL CHECK (elsewhere IN (0, 1))
, last_pass_ms INTEGER, last_pass_code TEXT, last_good_pass_ms INTEGER) STRICT;
CREATE TABLE nonces (nonce TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE versions (document TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE series (series TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE receipts (
  sender TEXT NOT NULL,
  run_id TEXT NOT NULL,
  request_digest TEXT NOT NULL,
  agent TEXT NOT NULL,
  kind TEXT NOT NULL,
  tenant TEXT,
  continues TEXT,
  iat INTEGER NOT NULL,
  exp INTEGER NOT NULL,
  deadline INTEGER,
  received_ms INTEGER NOT NULL,
  admitted INTEGER NOT NULL CHECK (admitted IN (0, 1)),
  starts INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('admitted', 'running', 'ended')),
  worker TEXT NOT NULL,
  nonce TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  running_since_ms INTEGER,
  max_run_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  acknowledged INTEGER CHECK (acknowledged IN (0, 1)),
  terminal_attempt INTEGER,
  terminal_seq INTEGER,
  outcome TEXT,
  terminal TEXT,
  terminal_envelope BLOB,
  request BLOB NOT NULL,
  PRIMARY KEY (sender, run_id, request_digest),
  CHECK ((state = 'ended') = (ended_ms IS NOT NULL)),
  CHECK ((ended_ms IS NULL) = (acknowledged IS NULL))
) STRICT;
CREATE INDEX receipts_unacknowledged ON receipts (received_ms, run_id, request_digest, sender)
  WHERE acknowledged = 0;
CREATE INDEX receipts_sender_open ON receipts (sender, run_id, kind)
  WHERE state <> 'ended';
CREATE INDEX receipts_continues ON receipts (sender, continues)
  WHERE state <> 'ended' AND continues IS NOT NULL;
CREATE INDEX receipts_sender_received ON receipts (sender, received_ms, run_id);
CREATE TABLE outbox (
  run_id TEXT PRIMARY KEY,
  callee TEXT NOT NULL,
  key TEXT NOT NULL,
  request_digest TEXT NOT NULL,
  intent_digest TEXT NOT NULL,
  iat INTEGER NOT NULL,
  exp INTEGER NOT NULL,
  deadline INTEGER,
  opened_ms INTEGER NOT NULL,
  sent_ms INTEGER,
  answered INTEGER NOT NULL CHECK (answered IN (0, 1)),
  displaced INTEGER NOT NULL CHECK (displaced IN (0, 1)),
  state TEXT NOT NULL CHECK (state IN ('open', 'unknown', 'closed')),
  closed_ms INTEGER,
  settled_ms INTEGER,
  cancel_key TEXT,
  terminal TEXT,
  cancel_envelope BLOB,
  payload BLOB NOT NULL,
  envelope BLOB NOT NULL, read_attempt INTEGER, read_seq INTEGER, read_prev BLOB,
  CHECK ((cancel_key IS NULL) = (cancel_envelope IS NULL))
) STRICT;
CREATE INDEX outbox_opened ON outbox (opened_ms, run_id);
CREATE INDEX outbox_unclosed ON outbox (state, sent_ms, opened_ms, run_id) WHERE state <> 'closed';
CREATE TABLE transcripts (
  run_id TEXT PRIMARY KEY,
  attempt INTEGER NOT NULL,
  closed_ms INTEGER NOT NULL,
  terminal TEXT NOT NULL
) STRICT;
CREATE TABLE transcript_envelopes (
  run_id TEXT NOT NULL,
  place INTEGER NOT NULL,
  key TEXT NOT NULL,
  kid TEXT NOT NULL,
  verified_ms INTEGER NOT NULL,
  envelope BLOB NOT NULL,
  PRIMARY KEY (run_id, place)
) STRICT;
CREATE TABLE quarantine (
  id TEXT PRIMARY KEY,
  bucket TEXT NOT NULL,
  key TEXT NOT NULL,
  size INTEGER NOT NULL,
  kept_bytes INTEGER NOT NULL,
  code TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  detail TEXT NOT NULL,
  bytes BLOB
, released INTEGER NOT NULL DEFAULT 0 CHECK (released IN (0, 1))) STRICT;
CREATE INDEX quarantine_latest ON quarantine (at_ms DESC, id);
CREATE INDEX quarantine_oldest ON quarantine (at_ms, id);
CREATE INDEX quarantine_bucket ON quarantine (bucket, at_ms DESC, id, kept_bytes, released);
CREATE INDEX quarantine_released ON quarantine (at_ms DESC, id) WHERE released = 1;
CREATE INDEX receipts_open ON receipts (received_ms, run_id, request_digest, sender, state, worker)
  WHERE state <> 'ended';
CREATE INDEX receipts_received ON receipts (received_ms, run_id, request_digest, sender);
CREATE TABLE troubles (
  subject TEXT PRIMARY KEY,
  code TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  message TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX troubles_oldest ON troubles (at_ms, subject);
CREATE INDEX receipts_kept
  ON receipts (max(ended_ms + 604800000, exp * 1000 + 900000), sender, run_id, request_digest)
  WHERE acknowledged = 1;
CREATE INDEX outbox_kept ON outbox (max(settled_ms + 604800000, exp * 1000 + 900000), run_id)
  WHERE settled_ms IS NOT NULL;
INSERT INTO meta VALUES (1, 5000, 0, 10, 3, 5, 0, 4500, 'STORE_MISSING', 4000);
INSERT INTO nonces VALUES ('n');
INSERT INTO versions VALUES ('trust', 5);
INSERT INTO series VALUES ('card', 1);
INSERT INTO receipts VALUES ('peer.example', 'eneptgduiijfoxmfswlhj6lapkzg6z3qrkixcv2hfazdqyzxzeca', 'eneptgduiijfoxmfswlhj6lapkzg6z3qrkixcv2hfazdqyzxzeca', 'agent', 'prompt', NULL, NULL, 1, 100, NULL, 1000, 1, 0, 'admitted', 'q7v2o3t7gfsfgqcfxkjc453q7m', 'nonce', 1, NULL, 1000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, X'72657175657374206F70656E');
INSERT INTO receipts VALUES ('peer.example', '5b52pifxphmlpf7ynumwariejfxshngr4mpni4q5txeggqlsw4rq', '5b52pifxphmlpf7ynumwariejfxshngr4mpni4q5txeggqlsw4rq', 'agent', 'prompt', NULL, NULL, 1, 100, NULL, 900, 1, 0, 'ended', 'q7v2o3t7gfsfgqcfxkjc453q7m', 'nonce', 1, NULL, 1000, 2000, 0, 1, 3, '{"status":"succeeded","result":"done"}', '{"status":"succeeded","result":"done"}', X'7465726D696E616C', X'7265717565737420656E646564');
INSERT INTO receipts VALUES ('peer.example', '2mpacsai5tosv4uyvw5j5v5vai6j2b6ecigrngwm4wf2gluobqaq', '2mpacsai5tosv4uyvw5j5v5vai6j2b6ecigrngwm4wf2gluobqaq', 'agent', 'prompt', NULL, NULL, 1, 100, NULL, 800, 1, 0, 'ended', 'q7v2o3t7gfsfgqcfxkjc453q7m', 'nonce', 1, NULL, 1000, 1000, 1, 1, 3, NULL, '{"status":"succeeded","result":"done"}', X'7465726D696E616C', X'7265717565737420736574746C6564');
INSERT INTO outbox VALUES ('yztzbwszipcem3oyay2n5nr7jym7a7t7qfre6irlq37m7h77mrcq', 'peer.example', 'peer.example/inbox/self.example/yztzbwszipcem3oyay2n5nr7jym7a7t7qfre6irlq37m7h77mrcq', 'yztzbwszipcem3oyay2n5nr7jym7a7t7qfre6irlq37m7h77mrcq', 'wl7gjcbcngxmxdn45c6kzbk3ykbiwomqibdo6lqgg5dbzdsgr74q', 1, 100, NULL, 1000, 1001, 0, 0, 'open', NULL, NULL, 'peer.example/inbox/self.example/yztzbwszipcem3oyay2n5nr7jym7a7t7qfre6irlq37m7h77mrcq.yztzbwszipcem3oy.cancel', NULL, X'63616E63656C2061736B6564', X'7061796C6F61642061736B6564', X'656E76656C6F70652061736B6564', 1, 2, X'70726576');
INSERT INTO outbox VALUES ('ypxpwwgxyqsebkouvpwfdvrjkrgwgwtnsnx7hrgt7suw2yi3htzq', 'peer.example', 'peer.example/inbox/self.example/ypxpwwgxyqsebkouvpwfdvrjkrgwgwtnsnx7hrgt7suw2yi3htzq', 'ypxpwwgxyqsebkouvpwfdvrjkrgwgwtnsnx7hrgt7suw2yi3htzq', '7soe6525byofsge7rienkvt3udsn36bmnppzjffll3tva64adkeq', 1, 100, NULL, 1000, NULL, 0, 0, 'closed', 3000, 3000, NULL, '{"status":"succeeded","result":"done"}', NULL, X'7061796C6F616420636C6F736564', X'656E76656C6F706520636C6F736564', NULL, NULL, NULL);
INSERT INTO transcripts VALUES ('ypxpwwgxyqsebkouvpwfdvrjkrgwgwtnsnx7hrgt7suw2yi3htzq', 1, 3000, '{"status":"succeeded","result":"done"}');
INSERT INTO transcript_envelopes VALUES ('ypxpwwgxyqsebkouvpwfdvrjkrgwgwtnsnx7hrgt7suw2yi3htzq', 0, 'self.example/frames/peer.example/ypxpwwgxyqsebkouvpwfdvrjkrgwgwtnsnx7hrgt7suw2yi3htzq/ypxpwwgxyqsebkou/0001-0000000000', 'fryock32azdpsitz6qt4pm4oom2nrzjytt7rm6q5ymhhh6bgw2bq', 2999, X'6672616D657320636C6F7365642030');
INSERT INTO quarantine VALUES ('cwsngewiwypessh6', 'peer.example', 'self.example/inbox/peer.example/x', 7, 7, 'SIGNATURE_INVALID', 1000, 'it does not verify', X'72656675736564', 1);
INSERT INTO quarantine VALUES ('hpypdrw2smfatbd4', 'peer.example', 'self.example/inbox/peer.example/x', 100, 0, 'SIGNATURE_INVALID', 1000, 'it does not verify', NULL, 0);
INSERT INTO troubles VALUES ('peer.example', 'STORE_DENIED', 1000, 'it said no');
CREATE INDEX receipts_standing ON receipts (sender, run_id, admitted, request_digest)
  WHERE admitted = 1 OR ended_ms IS NULL OR json_extract(terminal, '$.status') <> 'expired';
