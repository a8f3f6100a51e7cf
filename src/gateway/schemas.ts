import { formatDocument } from "../base/json-document.ts";
import { trustJsonSchema } from "../trust/document.ts";
import { configJsonSchema } from "./config.ts";

/** The folder of a home in which the schemas of its documents lie, so that `$schema` is a relative path. */
export const schemaFolder = "schema";
export const configSchemaPath = `./${schemaFolder}/config.schema.json`;

export interface SchemaFile {
  readonly name: string;
  readonly text: string;
}

/** The JSON Schemas of the documents that people edit, as files. */
export function schemaFiles(): readonly SchemaFile[] {
  return [
    { name: "config.schema.json", text: formatDocument(configJsonSchema()) },
    { name: "trust.schema.json", text: formatDocument(trustJsonSchema()) },
  ];
}
