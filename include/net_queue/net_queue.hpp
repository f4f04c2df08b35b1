// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Network communication through queues: everything public in one include.

#include <net_queue/communicator.hpp>
#include <net_queue/error.hpp>
#include <net_queue/future.hpp>
#include <net_queue/message.hpp>
#include <net_queue/options.hpp>
#include <net_queue/queue.hpp>
#include <net_queue/serializer.hpp>
#include <net_queue/stream.hpp>
#include <net_queue/uuid.hpp>
#include <net_queue/value.hpp>
#include <net_queue/version.hpp>
