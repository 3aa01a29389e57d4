//! Listening sockets.

use super::sys::socket;
use crate::error::{Error, Result, Shown};
use crate::options::{Key, Options};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A listening socket.
pub(crate) struct Listener {
    socket: Socket,
    /// Does the kernel defer connections until their first bytes are there?
    pub(super) defers: bool,
    /// The file of a Unix socket that we created; removed with the listener.
    #[allow(dead_code, reason = "it is there to be dropped")]
    file: Option<OwnFile>,
}

/// A file that is removed on drop, if it still is the one that was created.
struct OwnFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Listener {
    /// Listens on an address or a name; None is the loopback. "::" accepts IPv4 as well.
    pub(crate) fn tcp(host: Option<&str>, port: i32, options: &Options) -> Result<Listener> {
        let Ok(number) = u16::try_from(port) else {
            return Err(Error::invalid(format!("port {port} is not in 0 to 65535")));
        };
        let host = host.unwrap_or("127.0.0.1");
        let doing = || format!("listen on \"{}\" port {port}", Shown(host.as_bytes()));
        let address = resolve(host, number).map_err(|error| Error::io(doing(), &error))?;
        Listener::bind_tcp(address, options).map_err(|error| Error::io(doing(), &error))
    }

    fn bind_tcp(address: SocketAddr, options: &Options) -> io::Result<Listener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            // Regardless of the system's default: "::" accepts all, other addresses only themselves.
            let takes_v4 = address.ip().is_unspecified() || address.ip().to_canonical().is_ipv4();
            socket.set_only_v6(!takes_v4)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(options.get(Key::ReusePort) == 1)?;
        socket.bind(&SockAddr::from(address))?;
        socket.listen(backlog(options))?;
        Listener::prepared(socket, options)
    }

    /// Listens on a Unix socket. A socket file on which no program listens is replaced.
    pub(crate) fn unix(path: &[u8], mode: u32, options: &Options) -> Result<Listener> {
        if path.is_empty() || mode > 0o777 {
            return Err(Error::invalid(format!(
                "listen_unix \"{}\" mode {mode:o}: the path must not be empty, the mode not above 777",
                Shown(path)
            )));
        }
        let doing = || format!("listen on \"{}\"", Shown(path));
        let path = Path::new(OsStr::from_bytes(path));
        remove_stale(path).map_err(|error| Error::io(doing(), &error))?;
        Listener::bind_unix(path, mode, options).map_err(|error| Error::io(doing(), &error))
    }

    fn bind_unix(path: &Path, mode: u32, options: &Options) -> io::Result<Listener> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        // From here on the file is ours, and is removed also if something below fails.
        let made = std::fs::symlink_metadata(path)?;
        let file = OwnFile { path: std::path::absolute(path)?, device: made.dev(), inode: made.ino() };
        if mode != 0 {
            // Before `listen`, so that no client can connect with the permissions that umask left.
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        }
        socket.listen(backlog(options))?;
        let mut listener = Listener::prepared(socket, options)?;
        listener.file = Some(file);
        Ok(listener)
    }

    /// Adopts a socket that listens already, such as one that systemd passes. Returns it if that fails.
    pub(crate) fn adopt(socket: OwnedFd, options: &Options) -> std::result::Result<Listener, (OwnedFd, Error)> {
        let socket = Socket::from(socket);
        let number = socket.as_raw_fd();
        if !socket.is_listener().unwrap_or(false) {
            return Err((socket.into(), Error::invalid(format!("descriptor {number} is not a listening socket"))));
        }
        let copy = socket.try_clone().and_then(|copy| Listener::prepared(copy, options));
        // The duplicate is the same socket; the original is closed only when nothing can fail any more.
        copy.map_err(|error| (socket.into(), Error::io(format!("listen on descriptor {number}"), &error)))
    }

    fn prepared(socket: Socket, options: &Options) -> io::Result<Listener> {
        socket.set_nonblocking(true)?;
        let is_tcp = matches!(socket.domain()?, Domain::IPV4 | Domain::IPV6);
        let defer = u32::try_from(options.get(Key::DeferAcceptS)).unwrap_or(0);
        let mut defers = false;
        if is_tcp {
            // Accepted sockets inherit both, which saves the calls for each of them.
            socket.set_tcp_nodelay(true)?;
            defers = defer > 0 && socket::defer_accept(socket.as_fd(), defer).is_ok();
        }
        Ok(Listener { socket, defers, file: None })
    }

    /// The TCP port; None for a Unix socket.
    pub(crate) fn port(&self) -> Option<u16> {
        Some(self.socket.local_addr().ok()?.as_socket()?.port())
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        // Another server may have replaced the file.
        let ours = std::fs::symlink_metadata(&self.path).is_ok_and(|now| now.dev() == self.device && now.ino() == self.inode);
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn backlog(options: &Options) -> i32 {
    i32::try_from(options.get(Key::Backlog)).unwrap_or(i32::MAX)
}

/// An address is used as it is, a name is resolved by the system; of several addresses the first IPv4 one, which most clients try first.
fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    if host == "localhost" {
        return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
    }
    let found: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

/// Removes a socket file on which no program listens; any other file is an error.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists and is not a socket"));
    }
    // Non-blocking, since the connect would wait if the listener's queue is full.
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "another program listens there")),
    }
}
