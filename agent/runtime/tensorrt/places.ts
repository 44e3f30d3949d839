import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** The environment variable that names a trtexec; then no other is tried. */
export const TRTEXEC_VARIABLE = 'EDGEFIT_TRTEXEC';

/** Where JetPack and the Debian packages of TensorRT put it: in no folder of PATH. */
const USUAL_FOLDERS = ['/usr/src/tensorrt/bin', '/usr/local/tensorrt/bin', '/opt/tensorrt/bin'];

type Environment = Readonly<Record<string, string | undefined>>;

/** Where trtexec may be, in the order to try: configured, PATH, the usual folders. */
export function trtexecPlaces(env: Environment = process.env): readonly string[] {
  const configured = env[TRTEXEC_VARIABLE] ?? '';
  if (configured !== '') return [configured];
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder.startsWith('/'));
  return [...new Set([...folders, ...USUAL_FOLDERS])].map((folder) => join(folder, 'trtexec'));
}

/** The first of them that can be executed, or why none can. */
export async function findTrtexec(
  env: Environment = process.env,
): Promise<{ readonly path: string } | { readonly problem: string }> {
  const places = trtexecPlaces(env);
  for (const path of places) {
    // oxlint-disable-next-line no-await-in-loop -- the first one counts
    if (await isProgram(path)) return { path };
  }
  const configured = env[TRTEXEC_VARIABLE] ?? '';
  if (configured !== '') {
    const problem = `${TRTEXEC_VARIABLE} names ${configured}, which is no program: mend or unset it`;
    return { problem };
  }
  return {
    problem: `trtexec is neither on PATH nor in ${USUAL_FOLDERS[0]}: apt install nvidia-jetpack (or libnvinfer-bin), or name it in ${TRTEXEC_VARIABLE}`,
  };
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false; // Not there, or not ours to run: the next place is asked.
  }
}
