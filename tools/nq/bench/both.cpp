// SPDX-License-Identifier: Apache-2.0
#include "bench/both.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <stdexcept>
#include <system_error>

#include "bench/report.hpp"
#include "errors.hpp"

namespace nq::tool {

namespace {

/// Where the child finds its end of the pipe.
constexpr int k_report_descriptor = 3;

std::vector<std::string> arguments_of(const BenchOptions& options, const char* purpose,
                                      std::uint16_t port) {
    const auto text = [](auto number) { return std::to_string(number); };
    std::vector<std::string> arguments{"nq",
                                       "bench",
                                       options.protocol,
                                       purpose,
                                       options.mode,
                                       "--delay=" + text(options.delay),
                                       "--min-size=" + text(options.min_size),
                                       "--step-size=" + text(options.step_size),
                                       "--max-size=" + text(options.max_size),
                                       "--step-expo=" + text(options.step_expo),
                                       "--reps=" + text(options.reps),
                                       "--clients=" + text(options.clients),
                                       "--host=" + options.host,
                                       "--port=" + text(port),
                                       options.get_merge ? "--get-merge" : "--no-get-merge",
                                       options.put_merge ? "--put-merge" : "--no-put-merge",
                                       "--efficient-size=" + text(options.efficient_size),
                                       "--transport-size=" + text(options.transport_size),
                                       "--workers=" + text(options.workers),
                                       "--report-descriptor=" + text(k_report_descriptor)};
    if (!options.broker.user.empty()) arguments.push_back("--user=" + options.broker.user);
    if (!options.broker.password.empty()) {
        arguments.push_back("--password=" + options.broker.password);
    }
    if (options.secure) arguments.emplace_back("--secure");
    if (options.pickle) arguments.emplace_back("--pickle");
    if (options.verify) arguments.emplace_back("--verify");
    return arguments;
}

/// One of the two processes, and the pipe that it reports through. The destructor ends it.
class Process {
  public:
    explicit Process(const std::vector<std::string>& arguments);
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    ~Process();

    [[nodiscard]] int report() const { return report_; }
    [[nodiscard]] pid_t pid() const { return pid_; }
    /// The next line of its report; nothing: it ended.
    std::optional<std::string> read_line();
    void end() { kill(pid_, SIGTERM); }
    /// Waits for its end; whether it went well.
    bool wait();

  private:
    pid_t pid_ = 0;
    int report_ = -1;
    bool waited_ = false;
    int status_ = 0;
};

Process::Process(const std::vector<std::string>& arguments) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw std::system_error(errno, std::generic_category(), "pipe");
    }
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
        argv.push_back(const_cast<char*>(argument.data()));
    argv.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], k_report_descriptor);
    // The signals that Interrupt blocked here; it blocks them there, too, when it is ready.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    const int error =
        posix_spawn(&pid_, "/proc/self/exe", &actions, &attributes, argv.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    report_ = ends[0];
    if (error != 0) {
        close(report_);
        throw std::system_error(error, std::generic_category(), "can't start nq itself");
    }
}

Process::~Process() {
    close(report_);
    if (waited_) return;
    end();
    (void)wait();
}

std::optional<std::string> Process::read_line() {
    std::string line;
    for (char c = 0;;) {
        const ssize_t count = read(report_, &c, 1);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return std::nullopt;
        if (c == '\n') return line;
        line += c;
    }
}

bool Process::wait() {
    while (!waited_) {
        const pid_t ended = waitpid(pid_, &status_, 0);
        waited_ = ended == pid_ || errno != EINTR;
    }
    return WIFEXITED(status_) && WEXITSTATUS(status_) == k_exit_done;
}

/// The outcomes of both; when one of the two fails, the other, which would wait for it, is ended.
std::vector<Outcome> collect(Process& server, Process& client) {
    std::array<Process*, 2> processes{&server, &client};
    std::array<pollfd, 2> waiting{{{server.report(), POLLIN, 0}, {client.report(), POLLIN, 0}}};
    std::array<std::optional<Outcome>, 2> outcomes;
    std::size_t open = 2;
    while (open > 0) {
        if (poll(waiting.data(), waiting.size(), -1) < 0) continue;
        for (std::size_t i = 0; i < 2; ++i) {
            if (waiting[i].revents == 0) continue;
            if (const auto line = processes[i]->read_line()) {
                outcomes[i] = parse_outcome(*line);
                continue;
            }
            waiting[i].fd = -1;
            waiting[i].revents = 0;
            --open;
            if (!outcomes[i]) processes[1 - i]->end();
        }
    }
    const bool well = server.wait() && client.wait();
    if (!well || !outcomes[0] || !outcomes[1]) {
        throw std::runtime_error("the benchmark failed: see above");
    }
    return {*outcomes[0], *outcomes[1]};
}

}  // namespace

int run_both(const BenchOptions& options, Interrupt& interrupt) {
    // A broker's port is not ours to choose.
    const std::uint16_t port_wanted = options.protocol == "mqtt" ? k_default_port : 0;
    Process server(arguments_of(options, "server", options.port.value_or(port_wanted)));
    // Before there is a client, so that Ctrl-C never meets half of a pair.
    const Interrupt::Scope waiting(interrupt, [&server] { server.end(); });
    const auto line = server.read_line();
    const auto port = line ? parse_announcement(*line) : std::nullopt;
    if (!port) throw std::runtime_error("the benchmark's server did not start");

    Process client(arguments_of(options, "client", *port));
    const Interrupt::Scope running(interrupt, [&] {
        server.end();
        client.end();
    });
    publish(options, collect(server, client));
    return k_exit_done;
}

}  // namespace nq::tool
