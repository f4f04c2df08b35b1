// SPDX-License-Identifier: Apache-2.0
// What gRPC can do: the workload `sync` over one bidirectional call of its generic callback API,
// one write and one read under way, no copy on the way out, each message contiguous on its way in.
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/version_info.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "workload.hpp"

namespace {

using nq::bench::Content;
using nq::bench::Ends;
using nq::bench::Outcome;
using nq::bench::ServerProcess;
using nq::bench::Stopwatch;
using nq::bench::Workload;

constexpr const char* k_method = "/grpc/comm";

/// Something that happens once.
class Event {
  public:
    void set() {
        const std::lock_guard lock(mutex_);
        happened_ = true;
        changed_.notify_all();
    }
    void wait() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return happened_; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool happened_ = false;
};

/// The messages of one end: what it writes, what it looks at, how many of each are left.
class Messages {
  public:
    Messages(const Content& content, std::uint64_t count)
        : content_(content), to_write_(count), to_read_(count) {}

    bool next(grpc::ByteBuffer& outgoing) {
        if (to_write_ == 0) return false;
        --to_write_;
        const auto octets = content_.octets();
        const grpc::Slice slice(octets.data(), octets.size(), grpc::Slice::STATIC_SLICE);
        outgoing = grpc::ByteBuffer(&slice, 1);
        return true;
    }
    /// Whether more are to come.
    bool look_at(grpc::ByteBuffer& incoming) {
        grpc::Slice slice;
        if (!incoming.DumpToSingleSlice(&slice).ok()) throw std::runtime_error("no message");
        content_.touch(std::as_bytes(std::span(slice.begin(), slice.size())));
        incoming.Clear();
        return --to_read_ > 0;
    }

  private:
    const Content& content_;
    std::uint64_t to_write_;
    std::uint64_t to_read_;
};

/// Reads them all, then writes as many.
class ServerCall final : public grpc::ServerGenericBidiReactor {
  public:
    ServerCall(const Content& content, std::uint64_t count, Event& done)
        : messages_(content, count), done_(done) {
        StartRead(&incoming_);
    }
    void OnReadDone(bool ok) override {
        if (!ok) return Finish(grpc::Status::CANCELLED);
        if (messages_.look_at(incoming_)) return StartRead(&incoming_);
        OnWriteDone(true);
    }
    void OnWriteDone(bool) override {
        if (messages_.next(outgoing_)) return StartWrite(&outgoing_);
        Finish(grpc::Status::OK);
    }
    void OnDone() override { done_.set(); }

  private:
    Messages messages_;
    Event& done_;
    grpc::ByteBuffer incoming_;
    grpc::ByteBuffer outgoing_;
};

class Service final : public grpc::CallbackGenericService {
  public:
    Service(const Content& content, std::uint64_t count, Event& done)
        : content_(content), count_(count), done_(done) {}
    grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
        call_ = std::make_unique<ServerCall>(content_, count_, done_);
        return call_.get();
    }

  private:
    const Content& content_;
    const std::uint64_t count_;
    Event& done_;
    std::unique_ptr<ServerCall> call_;  // the only one
};

/// Writes them all, then reads as many.
class ClientCall final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
  public:
    ClientCall(const Content& content, std::uint64_t count) : messages_(content, count) {}
    void begin() {
        StartCall();
        OnWriteDone(true);
    }
    void OnWriteDone(bool) override {
        if (messages_.next(outgoing_)) return StartWrite(&outgoing_);
        StartRead(&incoming_);
    }
    void OnReadDone(bool ok) override {
        if (!ok) return;
        if (messages_.look_at(incoming_)) return StartRead(&incoming_);
        all_read.set();
        StartRead(&incoming_);  // the end
    }
    void OnDone(const grpc::Status&) override { done.set(); }

    Event all_read;
    Event done;

  private:
    Messages messages_;
    grpc::ByteBuffer incoming_;
    grpc::ByteBuffer outgoing_;
};

Ends make_ends(const Workload& workload) {
    if (workload.name != "sync" || workload.messages.sizes().size() != 1)
        throw std::runtime_error("sync of one size only");
    const auto server = [workload](const std::function<void(std::uint16_t)>& listening) {
        const Content content(workload.messages);
        Event done;
        Service service(content, workload.messages.count(), done);
        grpc::ServerBuilder builder;
        int port = 0;
        builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
        builder.RegisterCallbackGenericService(&service);
        builder.SetMaxReceiveMessageSize(-1);
        const auto running = builder.BuildAndStart();
        if (running == nullptr) throw std::runtime_error("the server does not start");
        listening(static_cast<std::uint16_t>(port));
        done.wait();
        running->Shutdown();
    };
    const auto client = [workload](const ServerProcess& process) -> Outcome {
        grpc::ChannelArguments arguments;
        arguments.SetMaxReceiveMessageSize(-1);
        const Content content(workload.messages);
        grpc::GenericStub stub(
            grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(process.port),
                                      grpc::InsecureChannelCredentials(), arguments));
        grpc::ClientContext context;
        ClientCall call(content, workload.messages.count());
        stub.PrepareBidiStreamingCall(&context, k_method, {}, &call);
        const Stopwatch watch;
        call.begin();
        call.all_read.wait();
        const double seconds = watch.seconds();
        call.done.wait();
        return {.seconds = seconds};
    };
    return {server, client};
}

}  // namespace

int main(int argc, char** argv) {
    return nq::bench::run_program(argc, argv, "gRPC " GRPC_CPP_VERSION_STRING, make_ends);
}
