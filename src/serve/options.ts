/** What `serve` is told, checked. */

import { isIP } from 'node:net';
import { checkOptions, type OptionNames } from '../check-options.js';
import { ConfigError } from '../errors.js';
import { absolutePath } from '../system-errors.js';

export interface ServeOptions {
  /** Default: 4747, or any that is free where that one is taken. 0 takes any. */
  port?: number | undefined;
  /** Address to listen on. Default: 127.0.0.1, which only this machine reaches. Any other needs a token. */
  host?: string | undefined;
  /** Whoever reads has to show it; at least 16 characters. Default: none, on this machine alone. */
  token?: string | undefined;
  /** Folder whose experiments are shown beside those of this process. Default: the Crucible's. */
  dir?: string | undefined;
}

export interface ResolvedServeOptions {
  readonly port: number;
  /** Whether another port will do. */
  readonly anyPort: boolean;
  readonly host: string;
  readonly token: string | null;
  readonly dir: string | null;
}

const OPTIONS: OptionNames<ServeOptions> = { port: true, host: true, token: true, dir: true };

export const DEFAULT_PORT = 4747;
const TOKEN_CHARACTERS_MIN = 16;
const TOKEN_CHARACTERS_MAX = 1024;

/** Whether only this machine reaches it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** @throws ConfigError naming the option */
export function resolveServeOptions(
  options: ServeOptions,
  defaultDir: string | undefined,
): ResolvedServeOptions {
  checkOptions(options, OPTIONS);
  const { port, host = '127.0.0.1', token, dir = defaultDir } = options;
  if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
    throw new ConfigError('port', 'a port from 0 to 65535', port);
  }
  if (typeof host !== 'string' || host === '') throw new ConfigError('host', 'an address to listen on', host);
  if (token !== undefined) checkToken(token);
  if (token === undefined && !isLoopback(host)) {
    const expected = `a secret of ${TOKEN_CHARACTERS_MIN} or more characters, since ${host} is not only this machine`;
    throw new ConfigError('token', expected, token);
  }
  return {
    port: port ?? DEFAULT_PORT,
    anyPort: port === undefined,
    host,
    token: token ?? null,
    dir: dir === undefined ? null : absolutePath('dir', dir),
  };
}

function checkToken(token: unknown): void {
  const isText = typeof token === 'string' && /^[\x21-\x7e]+$/.test(token);
  if (isText && token.length >= TOKEN_CHARACTERS_MIN && token.length <= TOKEN_CHARACTERS_MAX) return;
  const expected = `${TOKEN_CHARACTERS_MIN} to ${TOKEN_CHARACTERS_MAX} visible ASCII characters`;
  // Its value is a secret, and stays out of the message.
  throw new ConfigError('token', expected, isText ? [] : typeof token);
}
