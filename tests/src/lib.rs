//! The world that hotline is tested in: a simulated one ([`world`]), real engines carried by hand ([`town`]), a bad
//! network for real sockets ([`relay`]), storage that fails ([`shim`]), and clocks that are wrong ([`wrong_clock`]).

pub mod bench;
pub mod city;
pub mod household;
pub mod relay;
pub mod shim;
pub mod soak;
pub mod town;
pub mod virtual_net;
pub mod virtual_town;
pub mod world;
pub mod wrong_clock;
