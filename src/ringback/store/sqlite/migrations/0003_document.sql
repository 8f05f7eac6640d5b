-- What a program keeps beside its messages, such as the sandbox its invoices.
CREATE TABLE ringback_document (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (collection, id)
) STRICT, WITHOUT ROWID;
