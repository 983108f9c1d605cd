/** Guard: which requests are answered at all, and what every answer says of itself. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { isLoopback, type ResolvedServeOptions } from './options.js';

/** Nothing but the page's own files and addresses, and nobody may frame it. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
};

export interface Refusal {
  readonly status: 400 | 401 | 403 | 405 | 413 | 421;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export class Guard {
  readonly #options: ResolvedServeOptions;
  readonly #port: () => number;
  readonly #tokenHash: Buffer | null;

  /** @param port - that is listened on, once it is known */
  constructor(options: ResolvedServeOptions, port: () => number) {
    this.#options = options;
    this.#port = port;
    this.#tokenHash = options.token === null ? null : hashOf(options.token);
  }

  /** The cookie that carries the token. Ports share their host's cookies, so each has a name of its own. */
  get cookieName(): string {
    return `crucible-${this.#port()}`;
  }

  /** Why a request is not answered; null when it is. */
  refuse(request: IncomingMessage): Refusal | null {
    const { method, headers } = request;
    if (method !== 'GET' && method !== 'HEAD') {
      return {
        status: 405,
        message: 'only GET and HEAD: nothing can be changed here',
        headers: { Allow: 'GET, HEAD' },
      };
    }
    const hasBody =
      headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
    if (hasBody) return { status: 413, message: 'no request has a body here' };
    if (!this.#isOwnHost(headers.host)) {
      return { status: 421, message: 'the Host header names another server' };
    }
    if (!this.#isOwnOrigin(request))
      return { status: 403, message: 'pages of other origins may not read this' };
    if (!this.#hasToken(request)) {
      return {
        status: 401,
        message: 'a token is needed: open the page with ?token=…, or send Authorization: Bearer …',
        headers: { 'WWW-Authenticate': 'Bearer' },
      };
    }
    return null;
  }

  /** Otherwise a page elsewhere could have its own name mean this machine, and read everything. */
  #isOwnHost(header: string | undefined): boolean {
    const { host } = this.#options;
    const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d+))?$/i.exec(header ?? '');
    if (match === null) return false;
    const name = match[1].replace(/^\[|\]$/g, '').toLowerCase();
    const isLocal = name === 'localhost' || isLoopback(name);
    if (isLoopback(host)) return isLocal && Number(match[2] ?? 80) === this.#port();
    // A proxy in front of it may have another port.
    return isLocal || isIP(name) !== 0 || name === host.toLowerCase() || name === hostname().toLowerCase();
  }

  #isOwnOrigin({ headers, url }: IncomingMessage): boolean {
    const { origin, host } = headers;
    if (origin !== undefined) {
      const own = URL.canParse(origin) ? new URL(origin).host : null;
      if (own !== host?.toLowerCase()) return false;
    }
    const site = headers['sec-fetch-site'];
    if (site === undefined || site === 'same-origin' || site === 'none') return true;
    // A link from elsewhere may open the page: what it shows is read by the page itself.
    const isPage = url === '/' || url?.startsWith('/?') === true || url?.startsWith('/docs/') === true;
    return isPage && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
  }

  #hasToken(request: IncomingMessage): boolean {
    if (this.#tokenHash === null) return true;
    const { authorization, cookie } = request.headers;
    const given = [
      /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1],
      new RegExp(`(?:^|; )${this.cookieName}=([^;]*)`).exec(cookie ?? '')?.[1],
      this.tokenIn(request.url ?? ''),
    ];
    return given.some((token) => token !== undefined && this.isToken(token));
  }

  /** The token in an address. */
  tokenIn(url: string): string | undefined {
    return new URLSearchParams(url.split('?')[1] ?? '').get('token') ?? undefined;
  }

  isToken(token: string): boolean {
    return this.#tokenHash !== null && timingSafeEqual(hashOf(token), this.#tokenHash);
  }
}

/** Of equal length whatever the text, so that comparing takes equally long. */
function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
