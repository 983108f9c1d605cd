/** Packages that bring no types, as far as tests use them. */
declare module 'parse-prometheus-text-format' {
  export default function parse(text: string): unknown;
}
declare module 'express' {
  import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';

  interface Application extends RequestListener {
    get(path: string, handler: (request: IncomingMessage, response: ServerResponse) => void): Application;
    listen(port: number, host: string): Server;
  }
  export default function express(): Application;
}
