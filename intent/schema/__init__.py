"""The intent language as people write it: reading, checking, meaning, and writing back."""

from intent.schema.changes import (
    NEVER,
    Applied,
    Change,
    ChangeError,
    ConflictError,
    Delete,
    Outcome,
    Put,
    Result,
    Revision,
    Stored,
    StoreUnavailableError,
    UnknownDocumentError,
    Wanted,
)
from intent.schema.checks import to_intents
from intent.schema.documents import KINDS, Document
from intent.schema.dump import document_text, dump_document, dump_yaml, json_schema
from intent.schema.loading import MAX_BYTES
from intent.schema.problems import DocumentError, Problem, SyntaxRefusedError
from intent.schema.reading import parse_documents, parse_single, prepared

__all__ = [
    "KINDS",
    "MAX_BYTES",
    "NEVER",
    "Applied",
    "Change",
    "ChangeError",
    "ConflictError",
    "Delete",
    "Document",
    "DocumentError",
    "Outcome",
    "Problem",
    "Put",
    "Result",
    "Revision",
    "StoreUnavailableError",
    "Stored",
    "SyntaxRefusedError",
    "UnknownDocumentError",
    "Wanted",
    "document_text",
    "dump_document",
    "dump_yaml",
    "json_schema",
    "parse_documents",
    "parse_single",
    "prepared",
    "to_intents",
]
