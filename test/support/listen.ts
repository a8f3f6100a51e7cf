import { once } from "node:events";
import { Server as HttpServer } from "node:http";
import type { Server } from "node:net";

/** Starts a server on this machine alone; its origin, as in `http://127.0.0.1:1234`. */
export async function listen(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("it does not listen");
  return `http://127.0.0.1:${address.port}`;
}

export async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  if (server instanceof HttpServer) server.closeAllConnections();
  await closed;
}
