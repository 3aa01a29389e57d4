// node_fetch.mjs URL: what Node's fetch gets from examples-c/routes.
import { isDeepStrictEqual } from "node:util";

const url = process.argv[2].replace(/\/$/, "");
let passed = 0;
let failed = 0;

async function says(name, wanted, get) {
  let got;
  try {
    got = await get();
  } catch (error) {
    got = `${error} ${error.cause ?? ""}`;
  }
  const right = isDeepStrictEqual(got, wanted);
  right ? passed++ : failed++;
  const short = (value) => JSON.stringify(value).slice(0, 200);
  console.log(right ? `ok ${name}` : `not ok ${name}: ${short(got)} instead of ${short(wanted)}`);
}

const ask = (path, options = {}) => fetch(url + path, { signal: AbortSignal.timeout(20000), ...options });
const text = async (path, options) => (await ask(path, options)).text();

await says("a page", [200, "text/plain; charset=utf-8", "user 7"], async () => {
  const answer = await ask("/users/7");
  return [answer.status, answer.headers.get("content-type"), await answer.text()];
});
await says("a query", "q = fast & small\ntag = é", () => text("/search?" + new URLSearchParams({ q: "fast & small", tag: "é" })));
await says("a form", "Ada Lovelace from London!", () =>
  text("/greet", { method: "POST", body: new URLSearchParams({ name: "Ada Lovelace", city: "London!" }) }));
await says("a redirect, followed", [true, "yourself"], async () => {
  const answer = await ask("/home");
  return [answer.redirected, await answer.text()];
});
await says("a redirect, not followed", [302, "/users/me"], async () => {
  const answer = await ask("/home", { redirect: "manual" });
  return [answer.status, answer.headers.get("location")];
});
await says("HEAD", [200, "6", ""], async () => {
  const answer = await ask("/users/7", { method: "HEAD" });
  return [answer.status, answer.headers.get("content-length"), await answer.text()];
});
await says("an unknown path", 404, async () => (await ask("/nowhere")).status);
await says("a method that the path has not", [405, "GET, HEAD, OPTIONS"], async () => {
  const answer = await ask("/users/7", { method: "DELETE" });
  return [answer.status, answer.headers.get("allow")];
});
await says("a cookie is set", "visits=1", async () => (await ask("/visits")).headers.get("set-cookie").split(";")[0]);
await says("a cookie is sent", "visit 42", () => text("/visits", { headers: { Cookie: "visits=41" } }));
await says("a large body", "PUT /echo", () => text("/echo", { method: "PUT", body: "x".repeat(3_000_000) }));
await says("a streamed body", "POST /echo", () => {
  const parts = Array.from({ length: 100 }, (_, number) => new TextEncoder().encode(`part ${number} `.repeat(1000)));
  const body = new ReadableStream({
    pull(controller) {
      parts.length ? controller.enqueue(parts.shift()) : controller.close();
    },
  });
  return text("/echo", { method: "POST", body, duplex: "half" });
});
await says("two hundred, all at once", Array.from({ length: 200 }, (_, number) => `user ${number}`), () =>
  Promise.all(Array.from({ length: 200 }, (_, number) => text(`/users/${number}`))));

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
