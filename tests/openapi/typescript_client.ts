/**
 * Uses the types that openapi-typescript generates, with openapi-fetch, as a user would.
 *
 *     node typescript_client.js http://127.0.0.1:8000 rows.csv
 *
 * Predicts, runs a batch of rows, trains on the uploaded file, promotes the new version and rolls back. Prints the
 * answers as JSON. `tsc --strict` must accept it too: the types are half of the test.
 */

import { readFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./queuecast.js";

type Job = components["schemas"]["Job"];
type Row = components["schemas"]["Row"];

const [url = "", path = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url });
const model = "titanic";
const inputs: Row[] = [
  { pclass: 1, sex: "female", age: 29.0, sibsp: 0, parch: 0, fare: 211.3375, embarked: "S" },
  { pclass: 3, sex: "male", age: null, sibsp: 0, parch: 0, fare: 7.8958, embarked: null },
];

/** The body of an answer; throws the problem of a refusal. */
function found<Body>(answer: { data?: Body; error?: components["schemas"]["Problem"] }): Body {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

async function ended(jobId: string): Promise<Job> {
  for (let tries = 0; tries < 20; tries++) {
    const job = found(
      await client.GET("/v1/jobs/{job_id}", {
        params: { path: { job_id: jobId }, header: { Prefer: "wait=5" } },
      }),
    );
    if (job.state === "succeeded" || job.state === "failed") return job;
  }
  throw new Error(`job ${jobId} has not ended`);
}

async function predict() {
  const answer = await client.POST("/v1/models/{model}/predictions", {
    params: { path: { model }, header: { Prefer: "wait=20", "Idempotency-Key": "typescript-1" } },
    body: { inputs, method: "predict_proba", version: 1, metadata: { run: "generated" } },
  });
  const job = found(answer);
  if (job.metadata["run"] !== "generated" || job.result === undefined) throw new Error(JSON.stringify(job));
  return job.result;
}

async function batch() {
  const accepted = found(
    await client.POST("/v1/models/{model}/batches", {
      params: { path: { model } },
      body: { inputs, output_format: "ndjson", id_column: "sex" },
    }),
  );
  const job = await ended(accepted.id);
  if (job.type !== "batch" || job.result === undefined) throw new Error(JSON.stringify(job));
  const file = found(
    await client.GET("/v1/jobs/{job_id}/result", { params: { path: { job_id: job.id } }, parseAs: "text" }),
  );
  return { rows: job.result.rows, answers: String(file).trim().split("\n") };
}

async function train() {
  const csv = new Blob([await readFile(path)], { type: "text/csv" });
  const stored = found(
    await client.POST("/v1/files", {
      body: { file: "" },
      bodySerializer: () => {
        const form = new FormData();
        form.append("file", csv, "rows.csv");
        return form;
      },
    }),
  );
  const accepted = found(
    await client.POST("/v1/models/{model}/trainings", {
      params: { path: { model } },
      body: { file_id: stored.id, target: "survived", params: { model__C: 0.25 }, promote: "never" },
    }),
  );
  const job = await ended(accepted.id);
  if (job.type !== "training" || job.result === undefined) throw new Error(JSON.stringify(job));
  return job.result;
}

async function promote(version: number) {
  const known = await client.GET("/v1/models/{model}", { params: { path: { model } } });
  const header = { "If-Match": known.response.headers.get("ETag") ?? "" };
  const request = { params: { path: { model, alias: "champion" }, header }, body: { version, reason: "as a trial" } };
  const moved = found(await client.PUT("/v1/models/{model}/aliases/{alias}", request));
  const late = await client.PUT("/v1/models/{model}/aliases/{alias}", request);
  if (late.error?.code !== "precondition_failed") throw new Error(JSON.stringify(late.error));
  return { before: found(known).champion, promoted: moved.champion };
}

const prediction = await predict();
const { rows, answers } = await batch();
const training = await train();
const { before, promoted } = await promote(training.version);
const back = found(await client.POST("/v1/models/{model}/rollback", { params: { path: { model } } }));
const page = found(await client.GET("/v1/jobs", { params: { query: { model, limit: 10 } } }));
console.log(
  JSON.stringify({
    probabilities: prediction.probabilities,
    answered_by: prediction.model.version,
    batch_rows: rows,
    answers,
    trained: training.version,
    scores: [training.champion.score, training.challenger.score],
    before,
    promoted,
    back: back.champion,
    listed: page.data.map((job) => job.type),
  }),
);
