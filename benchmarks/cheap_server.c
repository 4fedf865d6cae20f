/* An SSH server that costs little, so that what a client costs can be seen: a tenth of sshd's processor time.
 *
 *     cc -O2 -o cheap_server cheap_server.c -lssh
 *     cheap_server DEVICE PORT HOST_KEY CLIENT_KEY.pub [TEXT]
 *
 * Answers every address of one network device, `lo` as a rule, so that one server is a whole fleet. One process
 * for each connection; any user name is welcome with the one key. Commands really run, by /bin/sh as whoever
 * started the server, each in a session of its own: both streams, stdin and its end, exit status or signal, and
 * flow control both ways. The stdin of a command ends when its client ends it, closes the channel or goes away.
 * There is no terminal, no forwarding and no password. A benchmark's server: never give it a network.
 *
 * With TEXT nothing runs: a client whose hosts are on other machines does not pay for what they do. `true` ends
 * well at once, anything else when its stdin has ended, after it printed TEXT; and a start of Chargehand's is
 * answered as its wrapper would, word by word, when the whole script is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHANNELS 16
#define PIECE 32768
#define SFTP_SERVER "/usr/lib/openssh/sftp-server"

extern char **environ;

/* One command of one connection; -1 is what is not open. */
struct command {
	ssh_channel channel;
	struct ssh_channel_callbacks_struct callbacks;
	pid_t pid;
	int in, out, err; /* our ends of its three streams */
	int exited;       /* readable once it ended; looked at when both its streams have ended */
	char waiting[PIECE];
	int left, sent; /* what of `waiting` its stdin has not taken yet */
	bool closed;    /* by the client */
	enum { RUNS, ENDS, WAITS_FOR_EOF, WAITS_FOR_SCRIPT, WAITS_TO_SETTLE } stage;
	char nonce[65]; /* of a start of Chargehand's */
};

static struct command commands[CHANNELS];
static ssh_key client_key;
static const char *text; /* what everything prints when nothing runs */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void shut(int *descriptor)
{
	if (*descriptor >= 0)
		close(*descriptor);
	*descriptor = -1;
}

/* ---- who may come in --------------------------------------------------------------------------- */

static int refuse_none(ssh_session session, const char *user, void *unused)
{
	(void)session, (void)user, (void)unused;
	return SSH_AUTH_DENIED;
}

/* Asked twice: whether the key would do, and then with a signature that libssh has checked. */
static int check_key(ssh_session session, const char *user, struct ssh_key_struct *key, char signature, void *unused)
{
	(void)session, (void)user, (void)unused;
	if (ssh_key_cmp(key, client_key, SSH_KEY_CMP_PUBLIC) != 0)
		return SSH_AUTH_DENIED;
	bool fits = signature == SSH_PUBLICKEY_STATE_NONE || signature == SSH_PUBLICKEY_STATE_VALID;
	return fits ? SSH_AUTH_SUCCESS : SSH_AUTH_DENIED;
}

/* ---- commands ---------------------------------------------------------------------------------- */

static int start(struct command *command, char *const words[])
{
	int in[2], out[2], err[2];
	if (command->pid || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		return SSH_ERROR;
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, err[1], 2);
	posix_spawnattr_t attributes;
	posix_spawnattr_init(&attributes);
	sigset_t defaults;
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	int failed = posix_spawn(&command->pid, words[0], &actions, &attributes, words, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]), close(out[1]), close(err[1]);
	command->in = in[1], command->out = out[0], command->err = err[0];
	fcntl(command->in, F_SETFL, O_NONBLOCK);
	return failed ? SSH_ERROR : SSH_OK;
}

static int start_answer(struct command *command, const char *line);

static int start_shell(ssh_session session, ssh_channel channel, const char *line, void *command)
{
	(void)session, (void)channel;
	if (text)
		return start_answer(command, line);
	return start(command, (char *const[]){"/bin/sh", "-c", (char *)line, NULL});
}

static int start_subsystem(ssh_session session, ssh_channel channel, const char *name, void *command)
{
	(void)session, (void)channel;
	return strcmp(name, "sftp") ? SSH_ERROR : start(command, (char *const[]){SFTP_SERVER, NULL});
}

static int ignore_variable(ssh_session session, ssh_channel channel, const char *name, const char *value, void *command)
{
	(void)session, (void)channel, (void)name, (void)value, (void)command;
	return SSH_OK;
}

static void note_close(ssh_session session, ssh_channel channel, void *command)
{
	(void)session, (void)channel;
	((struct command *)command)->closed = true;
}

static ssh_channel open_channel(ssh_session session, void *unused)
{
	(void)unused;
	for (struct command *command = commands; command < commands + CHANNELS; command++) {
		if (command->channel)
			continue;
		command->channel = ssh_channel_new(session);
		command->callbacks = (struct ssh_channel_callbacks_struct){
			.userdata = command,
			.channel_exec_request_function = start_shell,
			.channel_subsystem_request_function = start_subsystem,
			.channel_env_request_function = ignore_variable,
			.channel_close_function = note_close,
		};
		ssh_callbacks_init(&command->callbacks);
		ssh_set_channel_callbacks(command->channel, &command->callbacks);
		command->pid = 0;
		command->in = command->out = command->err = command->exited = -1;
		command->left = 0;
		command->closed = false;
		command->stage = RUNS;
		return command->channel;
	}
	return NULL;
}

/* From the client to the command's stdin, as much as that takes; the rest stays in the client's window. */
static void feed(struct command *command)
{
	while (command->in >= 0) {
		if (!command->left) {
			int size = ssh_channel_read_nonblocking(command->channel, command->waiting, PIECE, 0);
			if (size <= 0) {
				if (ssh_channel_is_eof(command->channel) || command->closed)
					shut(&command->in);
				return;
			}
			command->left = size, command->sent = 0;
		}
		ssize_t size = write(command->in, command->waiting + command->sent, command->left);
		if (size < 0 && errno == EAGAIN)
			return;
		if (size < 0)
			size = command->left; /* it reads no more: the rest goes nowhere */
		command->left -= size, command->sent += size;
	}
}

/* From the command to the client, one piece that fits the client's window. */
static void drain(struct command *command, int *stream, bool is_stderr)
{
	char piece[PIECE];
	uint32_t window = command->closed ? PIECE : ssh_channel_window_size(command->channel);
	if (!window)
		return; /* the other stream took the last of it */
	ssize_t size = read(*stream, piece, window < PIECE ? window : PIECE);
	if (size <= 0) {
		shut(stream);
	} else if (!command->closed) {
		if (is_stderr)
			ssh_channel_write_stderr(command->channel, piece, size);
		else
			ssh_channel_write(command->channel, piece, size);
	}
}

static void tell_end(struct command *command)
{
	int status = 0;
	waitpid(command->pid, &status, 0);
	shut(&command->in);
	shut(&command->exited);
	command->pid = 0;
	if (command->closed)
		return;
	if (WIFSIGNALED(status))
		ssh_channel_request_send_exit_signal(command->channel, sigabbrev_np(WTERMSIG(status)), 0, "", "");
	else
		ssh_channel_request_send_exit_status(command->channel, WEXITSTATUS(status));
	ssh_channel_send_eof(command->channel);
	ssh_channel_close(command->channel);
}

/* ---- answers, where nothing runs ---------------------------------------------------------------- */

static void say(struct command *command, const char *words, bool is_stderr)
{
	if (is_stderr)
		ssh_channel_write_stderr(command->channel, words, strlen(words));
	else
		ssh_channel_write(command->channel, words, strlen(words));
}

/* A record of the wrapper, on both streams. */
static void record(struct command *command, const char *words)
{
	char line[128];
	snprintf(line, sizeof line, "%s %s\n", command->nonce, words);
	say(command, line, false);
	say(command, line, true);
}

static void end_well(struct command *command)
{
	command->stage = RUNS; /* nothing more is answered */
	ssh_channel_request_send_exit_status(command->channel, 0);
	ssh_channel_send_eof(command->channel);
	ssh_channel_close(command->channel);
}

static int start_answer(struct command *command, const char *line)
{
	char left[65], right[65], ready[160];
	const char *marks = strstr(line, "' chargehand ");
	command->stage = WAITS_FOR_EOF;
	if (marks && sscanf(marks, "' chargehand %64s %64s", left, right) == 2) {
		command->stage = WAITS_FOR_SCRIPT;
		snprintf(ready, sizeof ready, "%s%s READY\n", left, right);
		say(command, ready, true);
	} else if (!strcmp(line, "true")) {
		command->stage = ENDS; /* after the request was granted */
	}
	return SSH_OK;
}

/* Whether the wrapper's line is there, with the script in it, or else the script and the line after it. */
static bool has_script(struct command *command)
{
	char last[80];
	command->waiting[command->left] = 0;
	char *nonce = strstr(command->waiting, " nonce=");
	if (!nonce || sscanf(nonce, " nonce=%64[0-9a-f]", command->nonce) != 1)
		return false;
	char *script = strstr(command->waiting, " text='");
	bool in_line = script && script[7] != '\'';
	int size = snprintf(last, sizeof last, in_line ? "\n" : "%s\n", command->nonce);
	return command->left >= size && !strcmp(command->waiting + command->left - size, last);
}

static void answer(struct command *command)
{
	if (command->stage == ENDS) {
		end_well(command);
		return;
	}
	int room = command->stage == WAITS_FOR_EOF ? PIECE : PIECE - 1 - command->left;
	char *free_room = command->waiting + (command->stage == WAITS_FOR_EOF ? 0 : command->left);
	int size = ssh_channel_read_nonblocking(command->channel, free_room, room, 0);
	bool ended = size <= 0 && (ssh_channel_is_eof(command->channel) || command->closed);
	if (size > 0 && command->stage != WAITS_FOR_EOF)
		command->left += size;
	if (command->stage == WAITS_FOR_EOF && ended) {
		say(command, text, false);
		end_well(command);
	} else if (command->stage == WAITS_FOR_SCRIPT && size > 0 && has_script(command)) {
		command->left = 0;
		command->stage = WAITS_TO_SETTLE;
		record(command, "START");
		if (!strstr(command->waiting, " text='true'"))
			say(command, text, false);
		record(command, "END 0 -");
	} else if (command->stage == WAITS_TO_SETTLE && command->left && strchr(command->waiting, '\n')) {
		char gone[80];
		snprintf(gone, sizeof gone, "%s GONE\n", command->nonce);
		say(command, gone, false);
		end_well(command);
	} else if (ended) {
		end_well(command);
	}
}

/* A channel that both sides have closed, and whose command is gone or on its own. */
static void forget(struct command *command)
{
	shut(&command->in), shut(&command->out), shut(&command->err), shut(&command->exited);
	ssh_channel_free(command->channel);
	command->channel = NULL;
}

/* ---- one connection ---------------------------------------------------------------------------- */

static void add(struct pollfd *polled, int *count, int descriptor, short events)
{
	if (descriptor >= 0)
		polled[(*count)++] = (struct pollfd){.fd = descriptor, .events = events};
}

/* Waits for the client or any command; what can go on is seen from the descriptors that are ready. */
static int await(ssh_session session, struct pollfd *polled)
{
	int count = 0;
	bool writes = ssh_get_poll_flags(session) & SSH_WRITE_PENDING;
	add(polled, &count, ssh_get_fd(session), POLLIN | (writes ? POLLOUT : 0));
	for (struct command *command = commands; command < commands + CHANNELS; command++) {
		if (!command->channel || !command->pid)
			continue;
		if (command->closed || ssh_channel_window_size(command->channel) > 0) {
			add(polled, &count, command->out, POLLIN);
			add(polled, &count, command->err, POLLIN);
		}
		if (command->left)
			add(polled, &count, command->in, POLLOUT);
		if (command->out < 0 && command->err < 0 && command->exited < 0)
			command->exited = syscall(SYS_pidfd_open, command->pid, 0);
		add(polled, &count, command->exited, POLLIN);
	}
	return poll(polled, count, -1) < 0 && errno != EINTR ? -1 : count;
}

static bool ready(const struct pollfd *polled, int count, int descriptor)
{
	for (int at = 0; descriptor >= 0 && at < count; at++)
		if (polled[at].fd == descriptor && polled[at].revents)
			return true;
	return false;
}

static void serve(ssh_session session)
{
	struct pollfd polled[1 + 4 * CHANNELS];
	ssh_event event = ssh_event_new();
	ssh_event_add_session(event, session);
	for (int count; ssh_is_connected(session) && (count = await(session, polled)) >= 0;) {
		if (polled[0].revents && ssh_event_dopoll(event, 0) == SSH_ERROR)
			return;
		for (struct command *command = commands; command < commands + CHANNELS; command++) {
			if (!command->channel)
				continue;
			if (command->stage != RUNS)
				answer(command);
			if (command->pid) {
				feed(command);
				if (ready(polled, count, command->out))
					drain(command, &command->out, false);
				if (ready(polled, count, command->err))
					drain(command, &command->err, true);
				if (ready(polled, count, command->exited))
					tell_end(command);
			}
			if (!command->pid && command->closed)
				forget(command);
		}
	}
}

static void welcome(ssh_bind bind, int connection)
{
	static struct ssh_server_callbacks_struct callbacks = {
		.auth_none_function = refuse_none,
		.auth_pubkey_function = check_key,
		.channel_open_request_session_function = open_channel,
	};
	int yes = 1;
	setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	ssh_session session = ssh_new();
	if (ssh_bind_accept_fd(bind, session, connection) != SSH_OK)
		return;
	ssh_callbacks_init(&callbacks);
	ssh_set_server_callbacks(session, &callbacks);
	ssh_set_auth_methods(session, SSH_AUTH_METHOD_PUBLICKEY);
	if (ssh_handle_key_exchange(session) == SSH_OK)
		serve(session);
}

static int listen_on(const char *device, int port)
{
	int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (setsockopt(listener, SOL_SOCKET, SO_BINDTODEVICE, device, strlen(device)))
		die(device);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096))
		die("listen");
	return listener;
}

int main(int count, char **words)
{
	if (count != 5 && count != 6) {
		fprintf(stderr, "usage: %s DEVICE PORT HOST_KEY CLIENT_KEY.pub [TEXT]\n", words[0]);
		return 2;
	}
	text = words[5];
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	ssh_init();
	ssh_key host_key;
	bool no = false;
	ssh_bind bind = ssh_bind_new();
	if (ssh_pki_import_privkey_file(words[3], NULL, NULL, NULL, &host_key) != SSH_OK)
		die(words[3]);
	if (ssh_pki_import_pubkey_file(words[4], &client_key) != SSH_OK)
		die(words[4]);
	ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no);
	ssh_bind_options_set(bind, SSH_BIND_OPTIONS_IMPORT_KEY, host_key);
	int listener = listen_on(words[1], atoi(words[2]));
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (connection < 0) {
			if (errno == EMFILE || errno == ENFILE)
				usleep(10000);
			continue;
		}
		if (fork() == 0) {
			close(listener);
			signal(SIGCHLD, SIG_DFL);
			welcome(bind, connection);
			_exit(0);
		}
		close(connection);
	}
}
