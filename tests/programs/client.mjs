// Makes the requests of all test clients, by fetch (undici), and prints a line for each: method, path, status, bytes sent, bytes received.
// Bodies: none, short, or long ones too.
const [base, bodies] = process.argv.slice(2);

async function make(method, path, body) {
  const answer = await fetch(base + path, { method, body, headers: { "Accept-Encoding": "identity" } });
  const received = (await answer.arrayBuffer()).byteLength;
  console.log(method, path, answer.status, body?.length ?? 0, received);
}

for (let n = 0; n < 20; n++) await make("GET", "/small");
await make("GET", "/empty");
await make("GET", "/large");
await make("GET", "/missing");
await make("HEAD", "/small");
if (bodies !== "none") {
  await make("POST", "/small", "some form data");
  await make("DELETE", "/small");
}
if (bodies === "long") await make("PUT", "/small", "p".repeat(100000));
// Several at once: several connections.
await Promise.all(Array.from({ length: 20 }, () => make("GET", "/small")));
