// SPDX-License-Identifier: Apache-2.0
#include "testing/broker.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <vector>

namespace nq::testing {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds k_patience{30};
constexpr int k_attempts = 5;

/// mosquitto, which Debian puts where the path of a user does not lead.
fs::path find_program(const std::string& name) {
    const char* const path = std::getenv("PATH");
    std::string rest = std::string(path != nullptr ? path : "") + ":/usr/sbin:/usr/local/sbin";
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find(':'), rest.size());
        const fs::path program = fs::path(rest.substr(0, end)) / name;
        if (end > 0 && ::access(program.c_str(), X_OK) == 0) return program;
        rest.erase(0, end + 1);
    }
    throw std::runtime_error(name + " is not installed (Debian: apt-get install mosquitto)");
}

fs::path make_folder() {
    std::string name = (fs::temp_directory_path() / "nq-broker-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("can't make " + name);
    return name;
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// A descriptor that is closed with its scope.
struct Descriptor {
    explicit Descriptor(int number) : fd(number) {}
    ~Descriptor() { ::close(fd); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    const int fd;
};

/// Somebody else may take it before the broker does; then another is tried.
std::uint16_t free_port() {
    const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket.fd, generic, size) != 0 || ::getsockname(socket.fd, generic, &size) != 0) {
        throw std::runtime_error("no free port");
    }
    return ntohs(address.sin_port);
}

bool answers(std::uint16_t port) {
    const Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(port);
    return ::connect(socket.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

pid_t spawn(const std::vector<std::string>& arguments, const fs::path& log) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) {
        argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t pid = 0;
    const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), ::environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error("can't start " + arguments[0]);
    return pid;
}

/// A client takes a descriptor, and a crowd of them more than a process is given unasked.
void let_many_in(pid_t pid) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::prlimit(pid, RLIMIT_NOFILE, &limit, nullptr);
}

/// Until it answers; false: it ended instead (the port was taken).
bool wait_until_it_answers(pid_t pid, std::uint16_t port) {
    const Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    const auto deadline = std::chrono::steady_clock::now() + k_patience;
    while (std::chrono::steady_clock::now() < deadline) {
        pollfd ended{process.fd, POLLIN, 0};
        if (::poll(&ended, 1, 5) > 0) return false;
        if (answers(port)) return true;
    }
    throw std::runtime_error("mosquitto does not answer");
}

}  // namespace

Broker::Broker(const BrokerSettings& settings) : folder_(make_folder()), settings_(settings) {
    for (int i = 0; i < k_attempts; ++i) {
        location_ = {"127.0.0.1", free_port()};
        if (try_start()) return;
    }
    std::ifstream log(folder_ / "log");
    const std::string text(std::istreambuf_iterator<char>(log), {});
    fs::remove_all(folder_);
    throw std::runtime_error("mosquitto does not start: " + text);
}

Broker::~Broker() {
    stop();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

void Broker::stop() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
}

void Broker::start() {
    if (!try_start()) throw std::runtime_error("mosquitto does not start again");
}

bool Broker::try_start() {
    std::ofstream file(folder_ / "mosquitto.conf");
    file << "listener " << location_.port << " 127.0.0.1\n"
         << "max_queued_messages 0\nset_tcp_nodelay true\n"  // docs/transports/mqtt.md
         << "log_type error\nlog_type warning\n";
    if (::geteuid() == 0) file << "user root\n";  // or it could not read its own files
    if (!settings_.certificate.empty()) {
        file << "certfile " << settings_.certificate.string() << "\nkeyfile "
             << settings_.key.string() << "\n";
    }
    if (settings_.user.empty()) {
        file << "allow_anonymous true\n";
    } else {
        const fs::path passwords = folder_ / "passwords";
        const pid_t made = spawn({find_program("mosquitto_passwd").string(), "-b", "-c",
                                  passwords.string(), settings_.user, settings_.password},
                                 folder_ / "log");
        ::waitpid(made, nullptr, 0);
        file << "password_file " << passwords.string() << "\n";
    }
    file.close();
    // It ends with this process, even with one that crashes.
    pid_ = spawn({find_program("setpriv").string(), "--pdeathsig", "KILL",
                  find_program("mosquitto").string(), "-c", (folder_ / "mosquitto.conf").string()},
                 folder_ / "log");
    let_many_in(pid_);
    if (wait_until_it_answers(pid_, location_.port)) return true;
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
    return false;
}

}  // namespace nq::testing
