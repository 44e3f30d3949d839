import { openFile } from '../../runtime/open-file.ts';
import type { DelegateOptions, OpenOptions, Session } from '../../runtime/types.ts';

export const PRODUCTION: Omit<OpenOptions, 'threads'> = { optimization: 'all', arena: true };
/** Every tensor keeps its name and no memory is kept back. */
export const LOOKING: OpenOptions = { threads: 0, optimization: 'disabled', arena: false };

/** The library that takes over what it can of a TFLite model. */
export interface Delegated {
  readonly delegate?: DelegateOptions | undefined;
}

export const delegated = (delegate: DelegateOptions | undefined) =>
  delegate === undefined ? {} : { delegate };

export async function withSession<T>(
  path: string,
  options: OpenOptions,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openFile(path, options);
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}
