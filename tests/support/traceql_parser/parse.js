// Reads a JSON list of queries from stdin, and writes for each the places ([from, to]) that are no TraceQL.
import { readFileSync } from "node:fs";
import { parser } from "@grafana/lezer-traceql";

function faults(query) {
  const found = [];
  parser.parse(query).iterate({
    enter(node) {
      if (node.type.isError) found.push([node.from, node.to]);
    },
  });
  return found;
}

const queries = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(queries.map(faults)));
