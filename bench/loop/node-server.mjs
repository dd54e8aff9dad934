// The same echo servers in Node alone: `node node-server.mjs KIND ARGUMENT`.

import dgram from "node:dgram";
import { readFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import tls from "node:tls";

const [kind, argument] = process.argv.slice(2);
const backlog = 1024;

function echo(socket) {
  socket.on("data", (data) => socket.write(data));
  socket.on("error", () => {}); // the client has ended
}

function ready(address) {
  console.log(JSON.stringify({ address: String(address) }));
}

function listen(server, options) {
  server.listen({ backlog, ...options }, () => ready(server.address().port ?? server.address()));
}

const local = { host: "127.0.0.1", port: 0 };
if (kind === "udp") {
  const socket = dgram.createSocket("udp4");
  socket.on("message", (data, { address, port }) => socket.send(data, port, address));
  socket.bind(0, local.host, () => ready(socket.address().port));
} else if (kind === "tls") {
  const read = (name) => readFileSync(path.join(argument, name));
  listen(tls.createServer({ cert: read("cert.pem"), key: read("key.pem") }, echo), local);
} else {
  listen(net.createServer({ noDelay: true }, echo), kind === "unix" ? { path: argument } : local);
}
