// @ts-check
// The control file of the package, and how Debian counts sizes.

/** What the native files need (scripts/deb/native.js compares). */
export const GLIBC_MINOR = 28;
export const LIBSTDCXX = 8;
const MAINTAINER = 'The edgefit developers <noreply@edgefit.invalid>';

/**
 * @param {string} version of npm: `1.0.0-rc.1`
 * @returns {string} of Debian: there a tilde sorts before the release, as npm's hyphen does
 */
export function debianVersion(version) {
  if (!/^\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?$/.test(version)) {
    throw new Error(`${version} is no version such as 1.2.3 or 1.2.3-rc.1`);
  }
  return version.replace('-', '~');
}

/**
 * As dpkg-gencontrol counts: files in whole KiB, folders and links one each.
 * @param {readonly { kind: 'file' | 'folder' | 'link', bytes: number }[]} entries
 */
export function installedKib(entries) {
  return entries.reduce(
    (sum, { kind, bytes }) => sum + (kind === 'file' ? Math.ceil(bytes / 1024) : 1),
    0,
  );
}

/**
 * @param {{ version: string, architecture: string, sizeKib: number, description: string }} facts
 * @returns {string}
 */
export function controlFile({ version, architecture, sizeKib, description }) {
  return `Package: edgefit
Version: ${version}
Architecture: ${architecture}
Maintainer: ${MAINTAINER}
Installed-Size: ${sizeKib}
Depends: libc6 (>= 2.${GLIBC_MINOR}), libstdc++6 (>= ${LIBSTDCXX}), init-system-helpers (>= 1.54), passwd
Recommends: systemd
Suggests: libedgetpu1-std
Section: utils
Priority: optional
Description: ${synopsis(description)}
 The agent probes the board, plans which precisions and runtimes are worth
 trying, quantizes the model on the device, calibrates on the device's own
 data, measures every version and keeps the best one that is still accurate.
 .
 The package brings its own Node.js, onnxruntime and TensorFlow Lite; it needs
 no Python and downloads nothing.
`;
}

/**
 * Debian wants no capital, no full stop and few words.
 * @param {string} description
 */
function synopsis(description) {
  const [start = ''] = description.split(/[:.]/);
  return start.charAt(0).toLowerCase() + start.slice(1);
}

/**
 * What dpkg-parsechangelog reads; the project's own list is longer and lies beside it.
 * @param {{ version: string, epochSeconds: number }} facts
 */
export function debianChangelog({ version, epochSeconds }) {
  const date = new Date(epochSeconds * 1000).toUTCString().replace('GMT', '+0000');
  return `edgefit (${version}) unstable; urgency=medium

  * What is new: /usr/share/doc/edgefit/NEWS.gz

 -- ${MAINTAINER}  ${date}
`;
}

/** dpkg asks before it replaces what the administrator has changed. */
export const CONFFILES = '/etc/edgefit/agent.yaml\n';
