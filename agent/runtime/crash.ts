import { RuntimeFailure } from './errors.ts';

/** How much of a child's stderr is kept. */
const TAIL_BYTES = 4096;

const SIGNALS: Readonly<Record<string, string>> = {
  SIGSEGV: 'invalid memory access in native code',
  SIGBUS: 'a file it had mapped was cut short, or misaligned access',
  SIGILL: 'an instruction that this CPU does not have',
  SIGFPE: 'arithmetic fault in native code',
  SIGABRT: 'native code gave up',
  SIGSYS: 'a system call that is not allowed here',
};

/** What TFLite writes when all is well. */
const CHATTER = 'INFO: ';

/** The last few kilobytes of what a child wrote. */
export class Tail {
  #text = '';

  add(chunk: Buffer): void {
    this.#text = (this.#text + chunk.toString('latin1')).slice(-TAIL_BYTES);
  }

  toString(): string {
    return Buffer.from(this.#text, 'latin1').toString('utf8');
  }
}

/** The error for a child that died by itself; `name` is the worker, `tail` the end of its stderr. */
export function crashFailure(
  name: string,
  exit: { readonly code: number | null; readonly signal: NodeJS.Signals | null },
  tail: string,
): RuntimeFailure {
  const last = tellingLine(tail);
  const options = { stderr: tail };
  if (/heap out of memory|bad_alloc|ENOMEM|Cannot allocate memory/i.test(tail)) {
    return new RuntimeFailure('OUT_OF_MEMORY', `${name} ran out of memory: ${last}`, options);
  }
  if (exit.signal === 'SIGKILL' || exit.code === 137) {
    const message = `${name} was killed (SIGKILL), probably because memory ran out`;
    return new RuntimeFailure('OUT_OF_MEMORY', message, options);
  }
  const how = exit.signal === null ? `exit code ${exit.code}` : explainSignal(exit.signal);
  const message = `${name} crashed: ${how}${last === '' ? '' : `; it said: ${last}`}`;
  return new RuntimeFailure('CRASHED', message, options);
}

function explainSignal(signal: string): string {
  const meaning = SIGNALS[signal];
  return meaning === undefined ? signal : `${signal} (${meaning})`;
}

/** The line that says most: an error message rather than the stacks or versions below it. */
function tellingLine(tail: string): string {
  const [said = ''] = tail.split(/^-+ Native stack trace -+$/m);
  const lines = said.split('\n').map((line) => line.trim());
  const telling = lines.findLast((line) => /^(FATAL ERROR|terminate called|\w*Error\b)/.test(line));
  return telling ?? lines.findLast((line) => line !== '' && !line.startsWith(CHATTER)) ?? '';
}
