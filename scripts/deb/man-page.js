// @ts-check
// edgefit(1) from the program's own definition: what `--help` says, as a manual page.

const SECTIONS = `.SH FILES
.TP
.I /etc/edgefit/agent.yaml
Configuration of the daemon.
.TP
.I /var/lib/edgefit
State of the daemon: identity, models, reports that wait for the broker.
.TP
.I /usr/lib/edgefit
The program with its Node.js, its libraries, board profiles and the demo model.
.SH SEE ALSO
.BR systemctl (1),
.BR journalctl (1)
`;

/**
 * @param {import('commander').Command} program
 * @param {{ version: string, date: string }} facts date as 2026-11-26
 * @returns {string} troff
 */
export function manPage(program, { version, date }) {
  const name = program.name();
  const commands = walk(program, []).slice(1);
  return `.\\" Made from the program's own help.
.TH EDGEFIT 1 "${date}" "edgefit ${version}" "User Commands"
.SH NAME
edgefit, ${name} \\- ${text(
    program
      .description()
      .replace(/^./, (first) => first.toLowerCase())
      .replace(/\.$/, ''),
  )}
.SH SYNOPSIS
.B ${name}
.I command
.RI [ options ]
.SH DESCRIPTION
${text(program.description())}
Both names start the same program.
.SH OPTIONS
${optionsOf(program)}${example(helpAfter(program))}.SH COMMANDS
${commands.map(({ command, path }) => section(command, [name, ...path])).join('')}${SECTIONS}`;
}

/**
 * @param {import('commander').Command} command
 * @param {readonly string[]} path
 * @returns {{ command: import('commander').Command, path: readonly string[] }[]}
 */
function walk(command, path) {
  const below = command.createHelp().visibleCommands(command);
  const named = below.filter((one) => one.name() !== 'help');
  return [{ command, path }, ...named.flatMap((one) => walk(one, [...path, one.name()]))];
}

/**
 * @param {import('commander').Command} command
 * @param {readonly string[]} path
 */
function section(command, path) {
  const help = command.createHelp();
  const args = help
    .visibleArguments(command)
    .map((one) => paragraph(help.argumentTerm(one), help.argumentDescription(one)));
  return `.SS "${text(`${path.join(' ')} ${command.usage()}`.trim())}"
${text(command.description())}
${args.join('')}${optionsOf(command)}${example(helpAfter(command))}`;
}

/** @param {import('commander').Command} command */
function optionsOf(command) {
  const help = command.createHelp();
  return help
    .visibleOptions(command)
    .map((option) => paragraph(help.optionTerm(option), help.optionDescription(option)))
    .join('');
}

/**
 * @param {string} term
 * @param {string} description
 */
function paragraph(term, description) {
  return `.TP\n.B "${text(term)}"\n${text(description)}\n`;
}

/**
 * What a command adds below its help, as it stands: examples and exit codes.
 * @param {string} added
 */
function example(added) {
  if (added === '') return '';
  return `.PP\n.nf\n${added.split('\n').map(text).join('\n')}\n.fi\n`;
}

/** @param {import('commander').Command} command */
function helpAfter(command) {
  let written = '';
  const before = command.configureOutput();
  command.configureOutput({ ...before, writeOut: (part) => (written += part) });
  command.outputHelp();
  command.configureOutput(before);
  return written.slice(command.helpInformation().length).trim();
}

/**
 * Lines of troff: a backslash is its escape, a hyphen would be typographic, a dot or quote at the start
 * of a line would be a request.
 * @param {string} plain
 */
export function text(plain) {
  return plain
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replaceAll(/^(?=[.'])/gm, '\\&');
}
