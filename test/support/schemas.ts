// The JSON Schemas of what the program writes.
import { Ajv2020 } from "ajv/dist/2020.js";
import documentSchema from "../../src/report/schema/document.schema.json" with { type: "json" };
import streamSchema from "../../src/report/schema/stream.schema.json" with { type: "json" };

const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true, strictTypes: false });
ajv.addSchema(documentSchema);

const isDocument = ajv.compile(documentSchema);
const isStreamLine = ajv.compile(streamSchema);

/** What is wrong with a document of `-f json`; empty when nothing is. */
export function documentFaults(document: unknown): string[] {
  return isDocument(document) ? [] : (isDocument.errors ?? []).map((error) => ajv.errorsText([error]));
}

/** The same of one line of `--json-stream`, parsed. */
export function streamLineFaults(line: unknown): string[] {
  return isStreamLine(line) ? [] : (isStreamLine.errors ?? []).map((error) => ajv.errorsText([error]));
}
