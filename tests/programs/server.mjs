// Serves the paths that all test servers serve, by node:http: `node server.mjs ADDRESS PORT`.
import { createServer } from "node:http";

const bodies = new Map([["/small", 612], ["/large", 1 << 20], ["/empty", 0]]);

createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    const length = bodies.get(request.url);
    if (request.url === "/chunked") {
      response.write("a chunk\n");
      response.write("a chunk\n");
      response.end("a chunk\n");
    } else if (length === undefined) {
      response.writeHead(404, { "Content-Length": 4 }).end("none");
    } else {
      response.writeHead(200, { "Content-Length": length }).end("n".repeat(length));
    }
  });
}).listen(Number(process.argv[3]), process.argv[2]);
