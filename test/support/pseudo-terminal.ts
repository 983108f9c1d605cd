/** A shell command at a terminal of its own, which `script` of util-linux makes, with keys to press. */
import { spawn } from 'node:child_process';

export interface Session {
  /** What the terminal has shown, raw. */
  readonly shown: string;
  /** The command's exit status. */
  readonly status: number;
  /** The terminal's settings before and after the command, as `stty -g` tells them. */
  readonly settings: readonly [before: string, after: string];
}

export const CTRL_C = '\u0003';

/**
 * @param command - for a shell
 * @param onShown - is told what the terminal has shown until now, and may press keys
 * @param columns - of the terminal
 */
export async function atTerminal(
  command: string,
  onShown: (shown: string, press: (keys: string) => void) => void = () => {},
  columns = 80,
): Promise<Session> {
  // The shell outlives Ctrl-C, which all programs of the terminal get, to tell how the command ended.
  const lines = [
    'trap : INT',
    `stty cols ${columns} rows 24`,
    'echo "[before $(stty -g)]"',
    command,
    'echo "[after $? $(stty -g)]"',
  ];
  const child = spawn('script', ['-qec', lines.join('\n'), '/dev/null'], {
    env: { ...process.env, SHELL: '/bin/sh', TERM: 'xterm', NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let all = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    all += text;
    onShown(all, (keys) => child.stdin.write(keys));
  });
  await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  const told = /^\[before (\S+)\]\r\n([\s\S]*)\[after (\d+) (\S+)\]\r\n$/.exec(all);
  if (told === null) throw new Error(`not what a session shows: ${JSON.stringify(all)}`);
  const [, before, shown, status, after] = told;
  return { shown: shown!, status: Number(status), settings: [before!, after!] };
}
