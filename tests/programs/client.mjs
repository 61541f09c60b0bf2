// Makes the requests of all test clients, by fetch (undici), and prints a line for each: method, path, status, bytes sent, bytes received.
const base = process.argv[2];

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
if (process.argv[3] === "bodies") {
  await make("POST", "/small", "some form data");
  await make("PUT", "/small", "p".repeat(100000));
  await make("DELETE", "/small");
}
// Several at once: several connections.
await Promise.all(Array.from({ length: 20 }, () => make("GET", "/small")));
