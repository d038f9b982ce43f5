//! Ports that nobody else gets meanwhile.

use tokio::net::TcpSocket;

/// A port that is taken and does not listen, as long as the socket is kept; who says that it shares
/// addresses may listen there.
pub(crate) fn taken_port() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}
